// The grid with its question, filters and toggles: the first page, and where every other page leads.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { filtersText, go, queryOf, to } from "./address";
import { Facets } from "./facets";
import { Grid } from "./grid";
import type { About, Page } from "./model";
import type { Source } from "./source";
import { type Hidden } from "./stage";

type Change = (changes: Record<string, string | null>, replace?: boolean) => void;

export function hiddenOf(args: URLSearchParams): Hidden {
  const set = (name: string) => new Set<string>(args.getAll(name).flatMap((text) => JSON.parse(text || "[]") as string[]));
  try {
    return { actors: set("no_actors"), questions: set("no_questions"), classes: set("no_classes"), least: Number(args.get("least") ?? 0) || 0 };
  } catch {
    return { actors: new Set(), questions: new Set(), classes: new Set(), least: 0 };
  }
}

export function Explore({ source, about, args, change }: { source: Source; about: About; args: URLSearchParams; change: Change }) {
  const query = useMemo(() => queryOf(args), [args.toString()]);
  const hidden = useMemo(() => hiddenOf(args), [args.toString()]);
  const [page, setPage] = useState<Page | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [open, setOpen] = useState(innerWidth > 700);
  const [anew, setAnew] = useState(0);
  useEffect(() => { setError(null); setPage(null); }, [JSON.stringify(query)]);
  const columns = page ? Object.keys(page.columns) : [];
  return (
    <main class="explore">
      {!about.is_static && (
        <Question sql={query.sql} words={[...about.words, ...columns]} onAsk={(sql, order) => {
            if (sql !== query.sql) change({ sql: sql || null, filters: null, column: null, order: order || null });
            else if (order !== query.order) change({ order: order || null });
            else source.page("forget").then(() => { setError(null); setAnew((count) => count + 1); }, setError); // rows are held: ask again
          }}
          order={query.order} onOrder={(order) => change({ order: order || null })} />
      )}
      {error && <p class="error" role="alert">{error.message}</p>}
      <div class="line">
        <button class="small" aria-expanded={open} onClick={() => setOpen(!open)}>filters</button>
        <span data-total={page?.total}>{page ? `${page.total.toLocaleString("en")} rows` : error ? "" : "…"}</span>
        <label>sort by{" "}
          <select value={query.column} onChange={(event) => change({ column: event.currentTarget.value || null })}>
            <option value="">the question</option>
            {columns.map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
        </label>
        {query.column && (
          <button class="small" onClick={() => change({ descending: query.descending ? null : "1" })}>
            {query.descending ? "greatest first" : "least first"}
          </button>
        )}
        <Toggles args={args} change={change} questions={about.questions.map((each) => each.question_id)} />
      </div>
      <div class="columns">
        {open && <Facets key={`facets ${anew}`} source={source} query={query} onFilters={(filters) => change({ filters: filtersText(filters) })} />}
        <Grid key={`grid ${anew}`} source={source} query={query} hidden={hidden} onTotal={setPage} onError={setError}
          href={(row, place) => to("entity", { ...Object.fromEntries(args), id: row.entity_id, at: String(place) })} />
      </div>
    </main>
  );
}

function Question({ sql, order, words, onAsk, onOrder }:
  { sql: string; order: string; words: string[]; onAsk: (sql: string, order: string) => void; onOrder: (order: string) => void }) {
  const [text, setText] = useState(sql);
  const [by, setBy] = useState(order);
  const [offered, setOffered] = useState<string[]>([]);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => setText(sql), [sql]);
  useEffect(() => setBy(order), [order]);
  const begun = () => /[\w.]*$/.exec(box.current!.value.slice(0, box.current!.selectionStart))![0];
  const offer = () => {
    const word = begun().toLowerCase();
    setOffered(word.length < 2 ? [] : [...new Set(words)].filter((each) => each.toLowerCase().startsWith(word) && each !== word).slice(0, 8));
  };
  const take = (word: string) => {
    const field = box.current!, end = field.selectionStart, start = end - begun().length;
    const next = field.value.slice(0, start) + word + field.value.slice(end);
    setText(next);
    setOffered([]);
    requestAnimationFrame(() => { field.focus(); field.setSelectionRange(start + word.length, start + word.length); });
  };
  return (
    <form class="question" onSubmit={(event) => { event.preventDefault(); setOffered([]); onAsk(text.trim(), by.trim()); }}>
      <label class="hidden" for="sql">SQL</label>
      <textarea id="sql" ref={box} rows={Math.min(6, Math.max(1, text.split("\n").length))} value={text} spellcheck={false}
        placeholder="select entity_id, brightness from entities_wide where width > 640"
        onInput={(event) => { setText(event.currentTarget.value); offer(); }}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); event.currentTarget.form!.requestSubmit(); }
          if (event.key === "Tab" && offered.length) { event.preventDefault(); take(offered[0]); }
          if (event.key === "Escape") setOffered([]);
        }} />
      <input aria-label="order by" placeholder="order by" value={by} onInput={(event) => setBy(event.currentTarget.value)}
        onKeyDown={(event) => { if (event.key === "Enter") { event.preventDefault(); onOrder(by.trim()); } }} />
      <button type="submit">ask</button>
      {offered.length > 0 && (
        <ul class="offered">{offered.map((word) => <li key={word}><button type="button" onClick={() => take(word)}>{word}</button></li>)}</ul>
      )}
    </form>
  );
}

/** What is drawn: by question and confidence; actors and classes are switched where they are seen, on the page of an entity. */
function Toggles({ args, change, questions }: { args: URLSearchParams; change: Change; questions: string[] }) {
  const hidden = hiddenOf(args);
  const flip = (name: string) => {
    const next = new Set(hidden.questions);
    next.has(name) ? next.delete(name) : next.add(name);
    change({ no_questions: next.size ? JSON.stringify([...next]) : null }, true);
  };
  if (!questions.length) return null;
  return (
    <span class="toggles">
      {questions.map((name) => (
        <button key={name} class="small" aria-pressed={!hidden.questions.has(name)} onClick={() => flip(name)}>{name}</button>
      ))}
      <label>score at least <input type="range" min="0" max="1" step="0.05" value={hidden.least}
        onChange={(event) => change({ least: Number(event.currentTarget.value) ? event.currentTarget.value : null }, true)} /></label>
    </span>
  );
}

/** Go to the row before or after this one, in the question that led here. */
export async function neighbour(source: Source, args: URLSearchParams, step: number): Promise<boolean> {
  const at = Number(args.get("at") ?? NaN) + step;
  if (!Number.isFinite(at) || at < 0) return false;
  const page = await source.rows(queryOf(args), at, 1);
  if (!page.rows.length) return false;
  go(to("entity", { ...Object.fromEntries(args), id: page.rows[0].entity_id, at: String(at) }), true);
  return true;
}
