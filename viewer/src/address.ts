// The address holds all of the state: it can be sent to a colleague, and the back button goes where one was.

import { useEffect, useState } from "preact/hooks";
import type { Filters, Query } from "./model";

export interface Address { page: string; args: URLSearchParams }

export function read(hash: string = location.hash): Address {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  return { page: path || "grid", args: new URLSearchParams(search) };
}

export function to(page: string, args: Record<string, string | null | undefined> = {}): string {
  const kept = Object.entries(args).filter((each): each is [string, string] => Boolean(each[1]));
  const search = new URLSearchParams(kept).toString();
  return `#/${page}${search ? `?${search}` : ""}`;
}

export function go(address: string, replace = false) {
  if (!replace) { location.hash = address; return; }
  try {
    history.replaceState(null, "", address);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } catch {
    location.hash = address; // in a frame of a notebook, which may replace nothing
  }
}

/** The address now; what changes of it, as a new address with everything else kept. */
export function useAddress(): [Address, (changes: Record<string, string | null>, replace?: boolean) => void] {
  const [address, set] = useState(read);
  useEffect(() => {
    const moved = () => set(read());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  const change = (changes: Record<string, string | null>, replace = false) =>
    go(to(address.page, { ...Object.fromEntries(address.args), ...changes }), replace);
  return [address, change];
}

export function queryOf(args: URLSearchParams): Query {
  let filters: Filters = {};
  try {
    const given = JSON.parse(args.get("filters") ?? "{}");
    if (given && typeof given === "object") filters = given;
  } catch { /* an address cut short has no filters, and the page shows that there are none */ }
  return {
    sql: args.get("sql") ?? "", order: args.get("order") ?? "", column: args.get("column") ?? "",
    descending: args.get("descending") === "1", filters,
  };
}

export const filtersText = (filters: Filters): string | null =>
  Object.keys(filters).length ? JSON.stringify(filters) : null;
