// What the keyboard does, told by `?`.

import { useEffect, useRef } from "preact/hooks";

const KEYS: [string, [string, string][]][] = [
  ["Everywhere", [["?", "this list"], ["Tab", "to the next thing that can be used"], ["/", "to the question in SQL"]]],
  ["Grid", [["arrows", "to the sample beside, above, below"], ["Page Up, Page Down", "a screen on"], ["Home, End", "to the first, to the last"], ["Enter", "open the sample"]]],
  ["Sample", [["j, right arrow", "the next one of the question"], ["k, left arrow", "the one before"], ["g", "back to the grid"]]],
  ["Picture, where it has the focus", [["+, -", "closer, further"], ["arrows", "move it"], ["0", "show all of it"], ["]", "to the next region, and what it says"], ["[", "to the one before"]]],
  ["Sound and video", [["space", "play, pause"], [", and .", "a frame back, a frame on (of sound 0.1 s)"], ["arrows", "1 s back, 1 s on, where the picture has the focus"]]],
  ["Answer", [["1 to 9", "choose a label, or the class of a box"], ["b", "put a box on the picture"], ["e", "change a box of yours; again: the next one"], ["arrows, Shift and arrows", "move the box, size it"], ["Enter", "record it"], ["Delete", "take the box that is changed away"], ["Escape", "leave it as it was"], ["y", "accept what somebody else said"]]],
];

/** Whether keys go into what has the focus, as letters do into a field. */
export const isTyped = (event: KeyboardEvent): boolean =>
  Boolean((event.target as Element).closest?.("input, textarea, select, dialog")) || event.ctrlKey || event.metaKey || event.altKey;

export function Keys() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (isTyped(event)) return;
      if (event.key === "?") { event.preventDefault(); dialog.current?.showModal(); }
      const question = document.getElementById("sql");
      if (event.key === "/" && question) { event.preventDefault(); question.focus(); }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  return (
    <>
      <button class="small" onClick={() => dialog.current?.showModal()} aria-label="keys (?)" title="keys (?)">?</button>
      <dialog ref={dialog} class="keys" aria-label="keys" onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
        <div>
          <p class="line"><b>Keys</b><button class="small" onClick={() => dialog.current?.close()}>close</button></p>
          {KEYS.map(([where, lines]) => (
            <section key={where}><h3>{where}</h3>
              <dl>{lines.map(([key, does]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{does}</dd></div>)}</dl>
            </section>
          ))}
        </div>
      </dialog>
    </>
  );
}
