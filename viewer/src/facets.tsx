// What the columns hold: histograms that are filters.

import { useEffect, useState } from "preact/hooks";
import type { Bar, Facet, Filter, Filters, Query } from "./model";
import type { Source } from "./source";

export function Facets({ source, query, failed, onFilters }:
  { source: Source; query: Query; /** Whether the grid tells already what is wrong with the question. */ failed: boolean; onFilters: (filters: Filters) => void }) {
  const [facets, set] = useState<Facet[]>([]);
  const [problem, setProblem] = useState("");
  const key = JSON.stringify({ sql: query.sql, order: query.order, filters: query.filters });
  useEffect(() => {
    const gone = new AbortController();
    setProblem("");
    source.facets(query, gone.signal).then(set, (error) => gone.signal.aborted || setProblem(error.message));
    return () => gone.abort();
  }, [key]);
  const put = (column: string, filter: Filter | null) => {
    const next = { ...query.filters };
    if (filter) next[column] = filter;
    else delete next[column];
    onFilters(next);
  };
  // A column that is the same everywhere tells one thing, in one line.
  const same = facets.filter((facet) => facet.bars.length === 1 && !facet.missing && !facet.others && !query.filters[facet.column]);
  return (
    <aside class="facets" aria-label="filters">
      {problem && !failed && <p class="error">not counted: {problem}</p>}
      {facets.filter((facet) => !same.includes(facet)).map((facet) => (
        <section key={facet.column} data-column={facet.column}>
          <h3>
            {facet.column}
            {query.filters[facet.column] && (
              <button class="small" onClick={() => put(facet.column, null)} aria-label={`remove the filter of ${facet.column}`}>all</button>
            )}
          </h3>
          {facet.kind === "number" || facet.kind === "time"
            ? <Histogram facet={facet} filter={query.filters[facet.column]} onFilter={(filter) => put(facet.column, filter)} />
            : <Values facet={facet} filter={query.filters[facet.column]} onFilter={(filter) => put(facet.column, filter)} />}
        </section>
      ))}
      {same.length > 0 && <section><h3>the same in all</h3>
        <ul class="values">{same.map(({ column, kind, bars }) => <li key={column} data-column={column}>
          <span class="row"><span class="name">{column}</span><span class="count">{bars[0].value === null ? edge(kind, bars[0].low) : String(bars[0].value)}</span></span>
        </li>)}</ul>
      </section>}
    </aside>
  );
}

const edge = (kind: string, value: number | null): string => (value === null ? "" : kind === "time"
  ? new Date(value * 1000).toISOString().slice(0, 10) : String(Number(value.toPrecision(4))));

interface Part { facet: Facet; filter?: Filter; onFilter: (filter: Filter | null) => void }

function Histogram({ facet, filter, onFilter }: Part) {
  const [from, setFrom] = useState<number | null>(null);
  const [over, setOver] = useState<number | null>(null);
  const most = Math.max(1, ...facet.bars.map((bar) => bar.rows));
  const last = facet.bars.length - 1;
  const isIn = (bar: Bar, place: number) => {
    if (from !== null && over !== null) return place >= Math.min(from, over) && place <= Math.max(from, over);
    return !filter || ((filter.low ?? -Infinity) <= bar.low! && (bar.high! <= (filter.high ?? Infinity)));
  };
  const brush = (to: number) => {
    if (from === null) return;
    const [one, other] = [Math.min(from, to), Math.max(from, to)];
    setFrom(null);
    setOver(null);
    onFilter({ low: facet.bars[one].low, high: facet.bars[other].high, closed: other === last });
  };
  const said = (value: number | null) => edge(facet.kind, value);
  return (
    <>
      <div class="bars" onPointerLeave={() => { setFrom(null); setOver(null); }}>
        {facet.bars.map((bar, place) => (
          <button key={place} class={isIn(bar, place) ? "bar in" : "bar"} data-rows={bar.rows}
            aria-label={`${facet.column} ${said(bar.low)} to ${said(bar.high)}: ${bar.rows} rows`} title={`${said(bar.low)} to ${said(bar.high)}: ${bar.rows.toLocaleString("en")}`}
            onPointerDown={(event) => { event.currentTarget.releasePointerCapture(event.pointerId); setFrom(place); setOver(place); }}
            onPointerEnter={() => from !== null && setOver(place)} onPointerUp={() => brush(place)}
            onClick={(event) => event.detail === 0 && onFilter({ low: bar.low, high: bar.high, closed: place === last })}>
            <span style={{ height: `${bar.rows ? Math.max(4, (bar.rows / most) * 100) : 0}%` }} />
          </button>
        ))}
      </div>
      <div class="ends"><span>{said(facet.bars[0]?.low ?? null)}</span><span>{said(facet.bars[last]?.high ?? null)}</span></div>
      {facet.missing > 0 && <p class="quiet">{facet.missing.toLocaleString("en")} without</p>}
      {facet.others > 0 && <p class="quiet">{facet.others.toLocaleString("en")} not finite</p>}
    </>
  );
}

function Values({ facet, filter, onFilter }: Part) {
  const most = Math.max(1, ...facet.bars.map((bar) => bar.rows), facet.missing);
  const chosen = filter?.values ?? [];
  const flip = (value: string | boolean | null) => {
    const next = chosen.includes(value) ? chosen.filter((each) => each !== value) : [...chosen, value];
    onFilter(next.length ? { values: next } : null);
  };
  const lines: { value: string | boolean | null; rows: number | null }[] = facet.bars.map((bar) => ({ value: bar.value as string | boolean | null, rows: bar.rows }));
  if (facet.missing) lines.push({ value: null, rows: facet.missing });
  // What is chosen can be taken back also where it is none of those with the most rows.
  for (const value of chosen) if (!lines.some((line) => line.value === value)) lines.push({ value, rows: null });
  return (
    <ul class="values">
      {lines.map(({ value, rows }) => (
        <li key={`${typeof value} ${String(value)}`}>
          <button aria-pressed={chosen.includes(value)} onClick={() => flip(value)}>
            <span class="fill" style={{ width: `${((rows ?? 0) / most) * 100}%` }} />
            <span class="name">{value === null ? "(none)" : String(value)}</span>
            <span class="count">{rows?.toLocaleString("en") ?? ""}</span>
          </button>
        </li>
      ))}
      {facet.others > 0 && <li class="quiet">{facet.others.toLocaleString("en")} with other values</li>}
    </ul>
  );
}
