// What the server tells, as JSON. Its meaning stands in `lakehouse.viewing` under the same names.

export type Value = string | number | boolean | null;
export type Row = Record<string, any>;

export interface Filter { low?: number | null; high?: number | null; closed?: boolean; values?: (string | boolean | null)[] }
export type Filters = Record<string, Filter>;

/** One question: SQL, an expression to order by, or a column of its rows, and filters on their columns. */
export interface Query { sql: string; order: string; column: string; descending: boolean; filters: Filters }

export interface Page { total: number; columns: Record<string, string>; rows: Row[]; note?: string }
export interface Bar { rows: number; low: number | null; high: number | null; value: Value }
export interface Facet { column: string; kind: string; bars: Bar[]; others: number; missing: number }

export interface Preview {
  kind: string; media_type: string; size_bytes: number; width: number; height: number; orientation: number;
  seconds: number | null; text: string; problem: string; note?: string; picture_type: string;
  /** The least and the greatest value of an array that is shown as a map. */
  low?: number | null; high?: number | null;
  /** Axes of an array; what a window is of, by id. */
  shape?: number[]; parts?: string[]; left_out?: number;
}
export interface Seen { preview: Preview; url: string }

export interface Mask { height: number; width: number; runs?: number[]; problem?: string }
export interface Region {
  kind?: string; label?: string; score?: number; x?: number; y?: number; w?: number; h?: number; angle?: number;
  rings?: [number, number][][]; closed?: boolean; keypoints?: [number, number, number | null][]; mask?: Mask;
  seconds?: [number, number]; characters?: [number, number]; frames?: [number, number]; track_id?: string; moves?: boolean;
}
export interface Answer {
  subject_id: string; question_id: string; actor_id: string; op: string; value_kind: string; label?: string;
  labels?: string[]; number?: number; text?: string; confidence?: number; regions?: Region[]; left_out?: number;
  event_time?: string; ingest_time?: string; opinion_id?: string; probs?: [string, number][];
}

export interface Question { question_id: string; title: string; answer_kind: string; labels: { id: string; name: string }[] }
export interface About {
  lake: string; counts: Record<string, number>; questions: Question[]; datasets: string[]; disagreements: string;
  annotate: string | null; words: string[]; models: string[];
  saved: { name: string; doc: string; sql: string }[]; is_static?: boolean; notes?: string[];
}

export const shortId = (id: string | null | undefined) => String(id ?? "(no id)").slice(0, 12);
export const says = (answer: Answer): string => {
  if (answer.op === "abstain") return "abstains";
  if (answer.regions) {
    const names = [...new Set(answer.regions.map((region) => region.label ?? region.kind ?? ""))];
    return `${answer.regions.length + (answer.left_out ?? 0)} regions: ${names.slice(0, 6).join(", ")}`;
  }
  return String(answer.label ?? answer.labels?.join(", ") ?? answer.number ?? answer.text ?? answer.value_kind);
};
