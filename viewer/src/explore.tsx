// The grid with its question, filters and toggles: the first page, and where every other page leads.

import { useEffect, useMemo, useState } from "preact/hooks";
import { filtersText, go, queryOf, to } from "./address";
import { Facets } from "./facets";
import { Grid } from "./grid";
import type { About, Page } from "./model";
import { Question } from "./question";
import type { Source } from "./source";
import { type Change, type Heard, heardOf, hiddenOf, nobody, Toggles } from "./toggles";
import { Views } from "./views";

export function Explore({ source, about, args, change }: { source: Source; about: About; args: URLSearchParams; change: Change }) {
  const query = useMemo(() => queryOf(args), [args.toString()]);
  const hidden = useMemo(() => hiddenOf(args), [args.toString()]);
  const [page, setPage] = useState<Page | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [open, setOpen] = useState(innerWidth > 700);
  const [drawn, setDrawn] = useState(innerWidth > 700);
  const [anew, setAnew] = useState(0);
  const [heard, setHeard] = useState<Heard>(nobody);
  useEffect(() => { setError(null); setPage(null); setHeard(nobody); }, [JSON.stringify(query)]);
  const columns = page ? Object.keys(page.columns) : [];
  return (
    <main class="explore" id="main">
      <h1 class="hidden">samples</h1>
      {!about.is_static && (
        <Question sql={query.sql} words={[...columns, ...about.words]} problem={error?.message ?? ""} onAsk={(sql, order) => {
            if (sql !== query.sql) change({ sql: sql || null, filters: null, column: null, order: order || null });
            else if (order !== query.order) change({ order: order || null });
            else source.page("forget").then(() => { setError(null); setAnew((count) => count + 1); }, setError); // rows are held: ask again
          }}
          order={query.order} onOrder={(order) => change({ order: order || null })} />
      )}
      {[...(about.notes ?? []), ...(page?.note ? [page.note] : [])].map((note) => <p key={note} class="quiet" role="note">{note}</p>)}
      {about.is_static && error && <p class="error" role="alert">{error.message}</p>}
      <div class="line">
        <button class="small" aria-expanded={open} onClick={() => setOpen(!open)}>filters</button>
        {about.questions.length > 0 && <button class="small" aria-expanded={drawn} onClick={() => setDrawn(!drawn)}>what is drawn</button>}
        {!about.is_static && <Views source={source} saved={about.saved} />}
        <span data-total={page?.total} role="status">{page ? `${page.total.toLocaleString("en")} rows` : error ? "" : "…"}</span>
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
      </div>
      {/* Its room is there before anybody was heard: what is clicked must not move away. */}
      {drawn && about.questions.length > 0 && <div class="drawn"><Toggles heard={heard} hidden={hidden} change={change} /></div>}
      <div class="columns">
        {open && <Facets key={`facets ${anew}`} source={source} query={query} failed={Boolean(error)} onFilters={(filters) => change({ filters: filtersText(filters) })} />}
        <Grid key={`grid ${anew}`} source={source} query={query} hidden={hidden} onTotal={setPage} onError={setError}
          onHeard={(answers) => setHeard((before) => heardOf(answers, before))}
          href={(row, place) => to("entity", { ...Object.fromEntries(args), id: row.entity_id, at: String(place) })} />
      </div>
    </main>
  );
}

/** Go to the row before or after this one, in the question that led here. */
export async function neighbour(source: Source, args: URLSearchParams, step: number): Promise<boolean> {
  const at = Number(args.get("at") ?? NaN) + step;
  if (!Number.isFinite(at) || at < 0) return false;
  const page = await source.rows(queryOf(args), at, 1);
  if (!page.rows.length) return false;
  const kept = Object.fromEntries([...args].filter(([name]) => name !== "with" && name !== "then"));
  go(to("entity", { ...kept, id: page.rows[0].entity_id, at: String(at) }), true);
  return true;
}
