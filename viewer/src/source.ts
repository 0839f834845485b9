// Where the pages get what they show: a server, or the files of a static export.

import type { About, Answer, Facet, Page, Preview, Query, Row, Seen } from "./model";

export interface Source {
  about(): Promise<About>;
  /** How everything begins, before the rest of its rows are there; null where there is nothing to wait for. */
  first(): Promise<Page> | null;
  rows(query: Query, offset: number, limit: number, signal?: AbortSignal): Promise<Page>;
  facets(query: Query, signal?: AbortSignal): Promise<Facet[]>;
  answers(ids: string[]): Promise<Record<string, Answer[]>>;
  page<T = Row>(name: string, asked?: Row): Promise<T>;
  see(id: string, signal?: AbortSignal): Promise<Seen>;
  /** Address of all bytes of an entity, or of its small picture where only that is there. */
  media(id: string): string;
  spectrogram(id: string): string | null;
}

export class Refused extends Error {}

export class Server implements Source {
  private seen = new Map<string, Promise<Seen>>();

  private async ask<T>(path: string, asked: object, signal?: AbortSignal): Promise<T> {
    const answer = await fetch(`api/${path}`, {
      method: "POST", body: JSON.stringify(asked), headers: { "content-type": "application/json" }, signal,
    });
    if (answer.ok) return await answer.json() as T; // one that is broken off throws, and is no answer
    const told = await answer.json().catch(() => ({}));
    throw new Refused(told.error ?? `the server answered ${answer.status}`);
  }

  about = () => this.ask<About>("about", {});
  first = () => this.ask<Page>("first", {});
  rows = (query: Query, offset: number, limit: number, signal?: AbortSignal) =>
    this.ask<Page>("rows", { ...query, offset, limit }, signal);
  facets = (query: Query, signal?: AbortSignal) => this.ask<Facet[]>("facets", query, signal);
  answers = (ids: string[]) => this.ask<Record<string, Answer[]>>("answers", { ids });
  page = <T = Row>(name: string, asked: Row = {}) => this.ask<T>(name, asked);
  media = (id: string) => `media/${encodeURIComponent(id)}`;
  spectrogram = (id: string) => `spectrogram/${encodeURIComponent(id)}`;

  see(id: string, signal?: AbortSignal): Promise<Seen> {
    const known = this.seen.get(id);
    if (known) return known;
    const coming = this.fetchPreview(id, signal);
    this.seen.set(id, coming);
    coming.catch(() => this.seen.delete(id));
    if (this.seen.size > MOST_SEEN) this.forgetOldest();
    return coming;
  }

  private async fetchPreview(id: string, signal?: AbortSignal): Promise<Seen> {
    const answer = await fetch(`preview/${encodeURIComponent(id)}`, { signal });
    if (!answer.ok) throw new Refused(await answer.text());
    const preview: Preview = JSON.parse(answer.headers.get("x-petrel-preview") ?? "{}");
    const bytes = await answer.blob();
    return { preview, url: bytes.size ? URL.createObjectURL(bytes) : "" };
  }

  private forgetOldest() {
    const [oldest, coming] = this.seen.entries().next().value!;
    this.seen.delete(oldest);
    coming.then((seen) => seen.url && URL.revokeObjectURL(seen.url), () => undefined);
  }
}

const MOST_SEEN = 3000;

/** What `petrel view --export` writes into data.js. */
export interface Exported {
  about: About; columns: Record<string, string>; rows: Row[]; previews: Record<string, Preview>;
  files: Record<string, string>; answers: Record<string, Answer[]>; entities: Record<string, Row>;
  pages: Record<string, unknown>;
}

export class Files implements Source {
  constructor(private exported: Exported) {}

  about = async () => this.exported.about;
  first = () => null;
  answers = async (ids: string[]) => Object.fromEntries(ids.map((id) => [id, this.exported.answers[id] ?? []]));
  media = (id: string) => this.exported.files[id] ?? "";
  spectrogram = () => null;

  async rows(query: Query, offset: number, limit: number): Promise<Page> {
    const found = this.exported.rows.filter((row) => passes(row, query, this.exported.columns));
    if (query.column) {
      const sign = query.descending ? -1 : 1, kind = this.exported.columns[query.column];
      found.sort((one, other) => sign * compared(one[query.column], other[query.column], sign, kind));
    }
    return { total: found.length, columns: this.exported.columns, rows: found.slice(offset, offset + limit) };
  }

  async facets(query: Query): Promise<Facet[]> {
    return Object.entries(this.exported.columns)
      .filter(([, kind]) => ["number", "text", "boolean", "time"].includes(kind))
      .map(([column, kind]) => histogram(column, kind, this.exported, query))
      .filter((facet) => facet.column in query.filters || (facet.bars.length && !(facet.kind === "text" && facet.others && facet.bars[0].rows === 1)));
  }

  async page<T = Row>(name: string, asked: Row = {}): Promise<T> {
    const found = name === "entity" ? this.exported.entities[asked.id] : this.exported.pages[name];
    if (found === undefined) throw new Refused("this is not part of these static pages; ask the lake: petrel view");
    return found as T;
  }

  async see(id: string): Promise<Seen> {
    const preview = this.exported.previews[id];
    if (!preview) throw new Refused("not part of these static pages");
    return { preview, url: this.exported.files[id] ?? "" };
  }
}

const numeric = (value: unknown, kind: string): number =>
  kind === "time" ? Date.parse(inUtc(String(value))) / 1000 : Number(value);
// A time without a zone is UTC, as the server counts it; a browser would take its own zone.
const inUtc = (text: string): string => (/T.*(Z|[+-]\d\d:\d\d)$|^[^T]*$/.test(text) ? text : `${text}Z`);

function passes(row: Row, query: Query, kinds: Record<string, string>, without = ""): boolean {
  return Object.entries(query.filters).every(([name, wanted]) => {
    if (name === without) return true;
    const value = row[name] ?? null;
    const number = value === null ? NaN : numeric(value, kinds[name]);
    if (wanted.low != null && !(number >= wanted.low)) return false;
    if (wanted.high != null && !(wanted.closed ? number <= wanted.high : number < wanted.high)) return false;
    return !wanted.values?.length || wanted.values.some((each) => (each === null ? value === null : String(each) === String(value)));
  });
}

function compared(one: unknown, other: unknown, sign: number, kind: string): number {
  if (one == null || other == null) return one == other ? 0 : (one == null ? 1 : -1) * sign;
  if (kind === "number") return ordered(one, other);
  return one === other ? 0 : String(one) < String(other) ? -1 : 1;
}

/** Decimals and what is not finite come as text; "nan" is the greatest, as DuckDB has it. */
function ordered(one: unknown, other: unknown): number {
  const [a, b] = [one, other].map((value) => Number(String(value).replace(/inf$/, "Infinity")));
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

const BINS = 24;
const WORDS = 12;

function histogram(column: string, kind: string, exported: Exported, query: Query): Facet {
  const among = exported.rows.filter((row) => passes(row, query, exported.columns, column));
  const missing = among.filter((row) => row[column] == null).length;
  const said = among.map((row) => row[column]).filter((value) => value != null);
  if (kind === "number" || kind === "time") {
    const all = exported.rows.map((row) => (row[column] == null ? NaN : numeric(row[column], kind))).filter(Number.isFinite);
    if (!all.length) return { column, kind, bars: [], others: said.length, missing };
    const low = all.reduce((a, b) => Math.min(a, b)), high = all.reduce((a, b) => Math.max(a, b));
    const count = low === high ? 1 : Math.min(BINS, new Set(all).size);
    const edges = Array.from({ length: count + 1 }, (_, place) => (place === count ? high : low + ((high - low) / count) * place));
    const bars = edges.slice(0, -1).map((edge, place) => ({ rows: 0, low: edge, high: edges[place + 1], value: null }));
    let others = 0;
    for (const value of said) {
      const number = numeric(value, kind);
      if (!Number.isFinite(number)) { others += 1; continue; }
      const at = edges.slice(1, -1).findIndex((edge) => number < edge);
      bars[at < 0 ? count - 1 : at].rows += 1;
    }
    return { column, kind, bars, others, missing };
  }
  const counts = new Map<string | boolean, number>();
  for (const value of said) counts.set(value, (counts.get(value) ?? 0) + 1);
  const sorted = [...counts].sort((one, other) => other[1] - one[1] || (String(one[0]) < String(other[0]) ? -1 : 1));
  const bars = sorted.slice(0, WORDS).map(([value, rows]) => ({ rows, low: null, high: null, value }));
  return { column, kind, bars, others: sorted.slice(WORDS).reduce((sum, [, rows]) => sum + rows, 0), missing };
}
