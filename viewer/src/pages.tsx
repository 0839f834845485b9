// Datasets, evaluations, differences, rejects, quality. Whatever can be looked at closer leads to the grid.

import { useEffect, useMemo, useState } from "preact/hooks";
import { to } from "./address";
import { Curves } from "./curves";
import { Grid } from "./grid";
import { asked, listed } from "./listed";
import type { Row } from "./model";
import type { Source } from "./source";
import { nothingHidden } from "./stage";
import { Table } from "./table";

interface Props { source: Source; args: URLSearchParams }

export function usePage<T = Row>(source: Source, name: string, asked: Row = {}): T | Error | null {
  const [found, set] = useState<T | Error | null>(null);
  const key = JSON.stringify([name, asked]);
  useEffect(() => {
    let here = true;
    set(null);
    source.page<T>(name, asked).then((page) => here && set(page), (error) => here && set(error));
    return () => { here = false; };
  }, [key]);
  return found;
}

export function waiting(found: unknown) {
  if (found instanceof Error) return <main id="main"><p class="error" role="alert">{found.message}</p></main>;
  return <main id="main"><p class="quiet">…</p></main>;
}

export function Datasets({ source }: Props) {
  const rows = usePage<Row[]>(source, "datasets");
  if (!rows || rows instanceof Error) return waiting(rows);
  const columns = ["name", "owner", "members", "bytes", "versions", "built_at", "age_days", "published", "exports"];
  return <main id="main"><h1>Datasets</h1><Table rows={rows} columns={columns} link={(row) => to("dataset", { name: row.name })} /></main>;
}

export function Dataset({ source, args }: Props) {
  const card = usePage(source, "dataset", { name: args.get("name") ?? "" });
  if (!card || card instanceof Error) return waiting(card);
  const labels = Object.entries(card.labels as Record<string, Record<string, number>>);
  const splits = Object.keys(card.splits);
  return (
    <main id="main">
      <h1>{card.name}</h1>
      <p class="line"><a href={to("grid", { sql: card.sql })}>look at its {card.members.toLocaleString("en")} members</a>
        <a href={to("grid", { sql: card.left_out_sql })}>at what was left out</a>
        <span class="quiet">{card.dataset_id}, built {String(card.built_at).slice(0, 19).replace("T", " ")}</span></p>
      <Samples source={source} sql={card.sql} />
      <h2>Splits</h2><Bars values={card.splits} link={(name) => to("grid", { sql: card.sql, filters: JSON.stringify({ split: { values: [name] } }) })} />
      {labels.length > 0 && <><h2>Labels</h2>
        <Table rows={labels.map(([label, counts]) => ({ label, ...Object.fromEntries(splits.map((split) => [split, counts[split] ?? 0])) }))}
          link={(row) => to("grid", { sql: card.sql, filters: JSON.stringify({ label: { values: [row.label] } }) })} /></>}
      {card.strata.length > 1 && <><h2>Strata</h2><Table rows={card.strata} /></>}
      {card.short.length > 0 && <><h2>Short of what was wanted</h2><Table rows={card.short} /></>}
      <h2>Left out</h2><Table rows={card.left_out} link={(row) => to("grid", { sql: card.left_out_sql, filters: JSON.stringify({ reason: { values: [row.reason] } }) })} />
      <h2>Versions</h2>
      <Table rows={card.versions} link={(row) => row.dataset_id === card.dataset_id ? null : to("diff", { old: row.dataset_id, new: card.dataset_id })} />
      <p class="quiet">another version leads to what differs between it and this one</p>
      <h2>Media</h2><Table rows={card.media} /><h2>Licences</h2><Table rows={card.licences} />
      <h2>Load it</h2><pre>{card.load.join("\n")}</pre>
      <h2>Recipe</h2><pre>{JSON.stringify(card.recipe, null, 2)}</pre>
    </main>
  );
}

export function Evaluations({ source }: Props) {
  const rows = usePage<Row[]>(source, "evaluations");
  if (!rows || rows instanceof Error) return waiting(rows);
  return <main id="main"><h1>Evaluations</h1><Table rows={rows.map((row) => ({ ...row, verdict: row.failed ? "failed" : row.passed ? "passed" : "no gate" }))}
    link={(row) => to("evaluation", { id: row.evaluation_id })} /></main>;
}

export function Evaluation({ source, args }: Props) {
  const found = usePage(source, "evaluation", { id: args.get("id") ?? "" });
  if (!found || found instanceof Error) return waiting(found);
  const overall = (found.metrics as Row[]).filter((row) => !row.slice), slices = (found.metrics as Row[]).filter((row) => row.slice);
  return (
    <main id="main">
      <h1>{found.actor_id} on {found.question_id}</h1>
      <p class="line"><a href={to("dataset", { name: found.dataset_id })}>dataset {found.dataset_id.slice(0, 12)}</a>
        {found.worst_sql && <a href={to("grid", { sql: found.worst_sql })}>what it got wrong, the surest first</a>}
        <span class={found.failed ? "error" : "quiet"}>{found.failed ? `${counted(found.failed, "gate")} failed` : found.passed ? `${counted(found.passed, "gate")} passed` : "no gates"}</span></p>
      {Object.entries((found.curves ?? {}) as Record<string, Row[]>).filter(([, curves]) => curves.length).map(([split, curves]) => (
        <section key={split}><h2>Precision over recall</h2><Curves curves={curves} split={split} /></section>
      ))}
      {found.confusion.length > 0 && <><h2>Who was taken for what</h2><Confusion cells={found.confusion} /><p class="quiet">by the answers that hold now; a cell leads to its samples</p></>}
      {found.worst_sql && <><h2>What it got wrong, the surest first</h2>
        <Samples source={source} sql={found.worst_sql} /></>}
      <h2>Metrics</h2><Table rows={overall} />
      {slices.length > 0 && <><h2>Slices, the worst first</h2><Table rows={[...slices].sort((one, other) => (one.value ?? 2) - (other.value ?? 2))} /></>}
    </main>
  );
}

const counted = (count: number, what: string): string => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

function Confusion({ cells }: { cells: Row[] }) {
  const truths = [...new Set(cells.map((cell) => cell.truth as string))].sort();
  const said = [...new Set([...truths, ...cells.map((cell) => cell.said as string | null)])].sort((one, other) => (one === null ? 1 : other === null ? -1 : one < other ? -1 : 1));
  const sums = new Map(truths.map((truth) => [truth, cells.filter((cell) => cell.truth === truth).reduce((sum, cell) => sum + cell.members, 0)]));
  return (
    <div class="wide">
      <table class="confusion">
        <caption class="hidden">label by answer</caption>
        <thead><tr><th scope="col">label</th>{said.map((name) => <th key={String(name)} scope="col">{name ?? "(nothing)"}</th>)}</tr></thead>
        <tbody>
          {truths.map((truth) => (
            <tr key={truth}><th scope="row">{truth}</th>
              {said.map((name) => {
                const cell = cells.find((each) => each.truth === truth && each.said === name);
                const share = cell ? cell.members / sums.get(truth)! : 0;
                return <td key={String(name)} class={truth === name ? "right" : "wrong"}>
                  {cell && <a href={to("grid", { sql: cell.sql })} style={{ "--share": share.toFixed(3) }} aria-label={`${truth} taken for ${name ?? "nothing"}: ${cell.members}`}>{cell.members}</a>}
                </td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Diff({ source, args }: Props) {
  const found = usePage(source, "diff", { old: args.get("old") ?? "", new: args.get("new") ?? "" });
  if (!found || found instanceof Error) return waiting(found);
  const ids = (change: string) => (found.members as Row[]).filter((row) => row.change === change).map((row) => `'${row.entity_id}'`);
  return (
    <main id="main">
      <h1>{found.old.dataset_id.slice(0, 12)} to {found.new.dataset_id.slice(0, 12)}</h1>
      <p class="line">{["in", "out", "kept"].map((change) => ids(change).length > 0 && (
        <a key={change} href={to("grid", { sql: `select distinct entity_id from gold.dataset_members where entity_id in (${ids(change).join(", ")})` })}>
          {{ in: "what came in", out: "what went out", kept: "what changed" }[change]} ({ids(change).length}{found.more ? " of the first" : ""})</a>))}</p>
      <h2>Counts</h2><Bars values={found.counts} />
      <h2>Members</h2><Changed source={source} members={found.members} />
      {found.more > 0 && <p class="quiet">and {found.more.toLocaleString("en")} more</p>}
      {(found.parts as [string, Row[]][]).filter(([, rows]) => rows.length).map(([name, rows]) => <section key={name}><h2>{name}</h2><Table rows={rows} /></section>)}
    </main>
  );
}

/** A grid within a page: of a question, or of the rows of a source that answers whatever is asked. */
function Samples({ source, sql, size = "row" }: { source: Source; sql: string; size?: "row" | "low" }) {
  const [error, setError] = useState<Error | null>(null);
  return (
    <>
      {error && <p class="error" role="alert">{error.message}</p>}
      <div class={`columns ${size}`}><Grid source={source} query={asked(sql)} hidden={nothingHidden} onTotal={() => setError(null)} onError={setError} onHeard={() => undefined}
        href={(row, place) => to("entity", sql ? { sql, id: row.entity_id, at: String(place) } : { id: row.entity_id })} /></div>
    </>
  );
}

const CHANGES: Record<string, string> = { in: "came in", out: "went out", kept: "is another" };

/** The members that differ, as pictures with what they were and what they are, and as a table. */
function Changed({ source, members }: { source: Source; members: Row[] }) {
  const rows = useMemo(() => members.map((row) => ({ ...row, change: CHANGES[row.change] ?? row.change, told: toldOf(row) })), [members]);
  const shown = useMemo(() => listed(source, rows), [rows]);
  if (!members.length) return <p class="quiet">none</p>;
  return (
    <>
      <Samples source={shown} sql="" size="low" />
      <details><summary>as a table</summary><Table rows={rows.map(({ told, ...row }) => row)} link={(row) => to("entity", { id: row.entity_id })} /></details>
    </>
  );
}

/** What became of a member: "came in: train", or what of it was another, "cat → dog". */
function toldOf(row: Row): string {
  if (row.change !== "kept") return `${CHANGES[row.change] ?? row.change}: ${(row.change === "out" ? row.old_split : row.new_split) ?? ""}`;
  const told = ["label", "split"].map((name) => [row[`old_${name}`], row[`new_${name}`]]).filter(([before, after]) => before !== after);
  return told.map(([before, after]) => `${before ?? "–"} → ${after ?? "–"}`).join(", ") || CHANGES.kept;
}

export function Rejected({ source }: Props) {
  const found = usePage<{ rows: Row[]; rules: Record<string, number> }>(source, "rejected");
  const [opened, setOpened] = useState("");
  if (!found || found instanceof Error) return waiting(found);
  const { rows, rules } = found;
  const more = Object.values(rules).reduce((sum, count) => sum + count, 0) - rows.length;
  const shown = rows.map((row) => ({
    ...row,
    bytes: row.raw == null ? <button class="small" aria-expanded={opened === row.rejected_id} aria-label={`bytes of ${row.location}`}
      onClick={() => setOpened(opened === row.rejected_id ? "" : row.rejected_id)}>bytes</button> : null,
  }));
  return (
    <main id="main"><h1>Rejected</h1><Bars values={rules} />
      {opened && <Begin key={opened} source={source} row={rows.find((row) => row.rejected_id === opened)!} />}
      <Table rows={shown} columns={["rule", "reason", "step", "source", "location", "rejected_at", "raw", "bytes"]} />
      {more > 0 && <p class="quiet" role="note">and {more.toLocaleString("en")} older ones, which are counted above alone</p>}
    </main>
  );
}

/** How a refused file begins, as hexadecimal numbers and as text. */
function Begin({ source, row }: { source: Source; row: Row }) {
  const found = usePage(source, "rejected_bytes", { id: row.rejected_id });
  if (!found) return <p class="quiet">…</p>;
  if (found instanceof Error) return <p class="quiet" role="status">{row.location}: {found.message}</p>;
  const bytes: string[] = found.hex.match(/../g) ?? [];
  const lines = Array.from({ length: Math.ceil(bytes.length / 16) }, (_, line) => {
    const part = bytes.slice(line * 16, line * 16 + 16), codes = part.map((each) => parseInt(each, 16));
    const letters = codes.map((code) => (code >= 32 && code < 127 ? String.fromCharCode(code) : "."));
    return `${(line * 16).toString(16).padStart(4, "0")}  ${part.join(" ").padEnd(47)}  ${letters.join("")}`;
  });
  return (
    <section aria-label="bytes"><h2>{row.location}</h2>
      <p class="quiet">{found.size_bytes.toLocaleString("en")} bytes{bytes.length < found.size_bytes ? `, the first ${bytes.length}` : ""}</p>
      {lines.length > 0 && <pre class="hex" tabIndex={0}>{lines.join("\n")}</pre>}
    </section>
  );
}

export function Quality({ source }: Props) {
  const rows = usePage<Row[]>(source, "quality");
  if (!rows || rows instanceof Error) return waiting(rows);
  const shown = rows.map((row) => ({
    ...row, expects: toldArguments(row.arguments_json), outcome: <Outcome passed={row.passed} blocks={row.blocks} />,
    examples: JSON.parse(row.examples_json ?? "[]").slice(0, 5).map((each: unknown) => (/^-?\d+\.\d{6,}$/.test(String(each)) ? Number(Number(each).toPrecision(5)) : String(each))).join(", "),
  }));
  const failed = rows.filter((row) => !row.passed);
  return (
    <main id="main"><h1>Quality</h1>
      <p class={failed.some((row) => row.blocks) ? "error" : "quiet"}>{counted(rows.length, "expectation")}, {failed.length.toLocaleString("en")} not met{failed.length ? `, ${failed.filter((row) => row.blocks).length} of them stop builds` : ""}</p>
      <Table rows={shown} columns={["suite", "expectation", "expects", "outcome", "observed", "rows", "failing_rows", "examples", "problem", "allowed_because", "checked_at"]} />
    </main>
  );
}

const toldArguments = (text: string | null): string =>
  Object.entries(JSON.parse(text || "{}")).map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`).join(", ");

function Outcome({ passed, blocks }: { passed: boolean; blocks: boolean }) {
  return passed ? <span>met</span> : <b class="error">{blocks ? "not met, stops builds" : "not met"}</b>;
}

export function Bars({ values, link }: { values: Record<string, number>; link?: (name: string) => string }) {
  const most = Math.max(1, ...Object.values(values));
  return (
    <ul class="values page">
      {Object.entries(values).map(([name, value]) => {
        const line = <><span class="fill" style={{ width: `${(value / most) * 100}%` }} /><span class="name">{name.replaceAll("_", " ")}</span><span class="count">{value.toLocaleString("en")}</span></>;
        return <li key={name}>{link ? <a href={link(name)}>{line}</a> : <span class="row">{line}</span>}</li>;
      })}
    </ul>
  );
}
