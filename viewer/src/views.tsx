// Questions that are kept by name: what is shown, with its order, filters and toggles, is an address.

import { useEffect, useRef, useState } from "preact/hooks";
import { to } from "./address";
import type { About, Row } from "./model";
import type { Source } from "./source";

export interface View { name: string; address: string }

export function Views({ source, saved }: { source: Source; saved: About["saved"] }) {
  const [views, setViews] = useState<View[]>([]);
  const [name, setName] = useState("");
  const [told, setTold] = useState("");
  const [isOpen, setOpen] = useState(false);
  const newest = useRef(0);
  // Only the last answer counts: one to an earlier question may come behind it.
  const ask = (asked: Row) => {
    const mine = ++newest.current;
    source.page<View[]>("views", asked).then((found) => { if (mine === newest.current) { setViews(found); setTold(""); } }, (error) => setTold(error.message));
  };
  useEffect(() => { if (isOpen) ask({}); }, [isOpen]);
  const copy = () => navigator.clipboard.writeText(location.href).then(() => setTold("copied"), () => setTold(location.href));
  return (
    <details class="menu" onToggle={(event) => setOpen(event.currentTarget.open)}
      onKeyDown={(event) => { if (event.key === "Escape") event.currentTarget.open = false; }}>
      <summary class="small">views</summary>
      <div>
        <h3>yours</h3>
        <ul>{views.map((view) => (
          <li key={view.name}><a href={view.address}>{view.name}</a>
            <button class="small" aria-label={`forget ${view.name}`} onClick={() => ask({ forget: view.name })}>×</button></li>
        ))}</ul>
        {!views.length && <p class="quiet">none is kept yet</p>}
        <form class="line" onSubmit={(event) => {
          event.preventDefault();
          if (name.trim()) { ask({ keep: name.trim(), address: location.hash }); setName(""); }
        }}>
          <input aria-label="name of this view" placeholder="name of this view" value={name} onInput={(event) => setName(event.currentTarget.value)} />
          <button type="submit">keep</button>
        </form>
        {saved.length > 0 && <><h3>of this lake <span class="quiet">(petrel views)</span></h3>
          <ul data-saved>{saved.map(({ name, doc, sql }) => <li key={name}><a href={to("grid", { sql })} title={doc}>{name}</a></li>)}</ul></>}
        <p class="line"><button class="small" onClick={copy}>copy this address</button><span class="quiet" role="status">{told}</span></p>
      </div>
    </details>
  );
}
