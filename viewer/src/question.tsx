// The question in SQL, with completion of names.

import { useEffect, useRef, useState } from "preact/hooks";

interface QuestionProps {
  sql: string; order: string; words: string[]; problem: string;
  onAsk: (sql: string, order: string) => void; onOrder: (order: string) => void;
}

export function Question({ sql, order, words, problem, onAsk, onOrder }: QuestionProps) {
  const [text, setText] = useState(sql);
  const [by, setBy] = useState(order);
  const [offered, setOffered] = useState<string[]>([]);
  const [at, setAt] = useState(0);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => setText(sql), [sql]);
  useEffect(() => setBy(order), [order]);
  const begun = () => /[\w.]*$/.exec(box.current!.value.slice(0, box.current!.selectionStart))![0];
  const offer = () => {
    const word = begun().toLowerCase();
    const fits = (each: string) => each.toLowerCase().startsWith(word) || each.toLowerCase().split(".").at(-1)!.startsWith(word);
    setAt(0);
    setOffered(word.length < 2 ? [] : [...new Set(words)].filter((each) => fits(each) && each.toLowerCase() !== word).slice(0, 8));
  };
  const take = (word: string) => {
    const field = box.current!, end = field.selectionStart;
    field.setRangeText(word, end - begun().length, end, "end"); // at once: whoever types on must not lose a letter
    setText(field.value);
    setOffered([]);
    field.focus();
  };
  const pressed = (event: KeyboardEvent & { currentTarget: HTMLTextAreaElement }) => {
    const isOpen = offered.length > 0;
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); event.currentTarget.form!.requestSubmit(); }
    else if (isOpen && event.key === "Tab" && !event.shiftKey) { event.preventDefault(); take(offered[at]); }
    else if (isOpen && event.key === "ArrowDown") { event.preventDefault(); setAt((at + 1) % offered.length); }
    else if (isOpen && event.key === "ArrowUp") { event.preventDefault(); setAt((at + offered.length - 1) % offered.length); }
    else if (event.key === "Escape") { if (isOpen) setOffered([]); else event.currentTarget.blur(); }
  };
  return (
    <form class="question" onSubmit={(event) => { event.preventDefault(); setOffered([]); onAsk(text.trim(), by.trim()); }}>
      <label class="hidden" for="sql">question in SQL</label>
      <textarea id="sql" ref={box} rows={Math.min(6, Math.max(1, text.split("\n").length))} value={text} spellcheck={false} autocomplete="off"
        placeholder="select entity_id, brightness from entities_wide where width > 640"
        role="combobox" aria-autocomplete="list" aria-expanded={offered.length > 0} aria-controls="offered" aria-haspopup="listbox"
        aria-activedescendant={offered.length ? `offered-${at}` : undefined} aria-invalid={Boolean(problem)} aria-describedby={problem ? "problem" : undefined}
        onInput={(event) => { setText(event.currentTarget.value); offer(); }} onKeyDown={pressed} onBlur={() => setOffered([])} />
      <input aria-label="order by" placeholder="order by" value={by} onInput={(event) => setBy(event.currentTarget.value)}
        onKeyDown={(event) => { if (event.key === "Enter") { event.preventDefault(); onOrder(by.trim()); } }} />
      <button type="submit">ask</button>
      <ul class="offered" id="offered" role="listbox" aria-label="names" hidden={!offered.length}>
        {offered.map((word, place) => (
          <li key={word} id={`offered-${place}`} role="option" aria-selected={place === at}
            onPointerDown={(event) => { event.preventDefault(); take(word); }}>{word}</li>
        ))}
      </ul>
      {problem && <p class="error" role="alert" id="problem">{problem}</p>}
    </form>
  );
}
