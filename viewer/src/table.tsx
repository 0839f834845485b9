// Rows as a table; everything from data is text.

import { isValidElement, type VNode } from "preact";
import type { Row } from "./model";

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)$/;

const shown = (value: unknown): string | VNode => {
  if (value == null) return "";
  if (isValidElement(value)) return value as VNode; // made by a page, never by data: JSON has no such thing
  if (typeof value === "number") return Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(5)));
  if (typeof value === "string" && TIME.test(value)) return value.slice(0, 19).replace("T", " "); // UTC, as all times here
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};

export function Table({ rows, columns, link, head }:
  { rows: Row[]; columns?: string[]; head?: string; link?: (row: Row) => string | null }) {
  if (!rows.length) return <p class="quiet">none</p>;
  const names = (columns ?? [...new Set(rows.flatMap((row) => Object.keys(row)))])
    .filter((name) => rows.some((row) => row[name] != null && row[name] !== "" && !(Array.isArray(row[name]) && !row[name].length)));
  const numeric = new Set(names.filter((name) => rows.every((row) => row[name] == null || typeof row[name] === "number")));
  return (
    <div class="wide" tabIndex={0} role="region" aria-label={head ?? `table of ${names[0]?.replaceAll("_", " ") ?? "rows"}`}>
      <table>
        {head && <caption>{head}</caption>}
        <thead><tr>{names.map((name) => <th key={name} scope="col" class={numeric.has(name) ? "n" : ""}>{name.replaceAll("_", " ")}</th>)}</tr></thead>
        <tbody>
          {rows.map((row, key) => (
            <tr key={key}>
              {names.map((name, place) => {
                const address = place === 0 ? link?.(row) : null;
                return <td key={name} class={numeric.has(name) ? "n" : ""}>{address ? <a href={address}>{shown(row[name])}</a> : shown(row[name])}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
