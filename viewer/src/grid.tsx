// A grid of any length: only what is on the screen is there.

import { Component } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { read } from "./address";
import { colourOf } from "./colours";
import { Heat } from "./heat";
import { says, shortId, type Answer, type Page, type Query, type Row, type Seen } from "./model";
import type { Source } from "./source";
import { type Hidden, Stage } from "./stage";

const TILE = 168; // px, with the gap
const TALL = 204;
const BLOCK = 200; // rows that are asked for at once
const TALLEST = 16_000_000; // px; browsers end pages at about twice that
const NOTHING_SAID: Answer[] = [];
const MOST_BLOCKS = 100, MOST_ANSWERS = 5_000; // in memory; of what was scrolled past before it is asked anew

/** Where one was in each grid: the back button leads there, not to its top. */
const PLACES = new Map<string, { top: number; current: number }>();

/** Drop what came first. */
function bound<Key>(held: Map<Key, unknown>, most: number) {
  for (const key of held.keys()) {
    if (held.size <= most) return;
    held.delete(key);
  }
}

export function useSeen(source: Source, id: string, wait = 0): Seen | Error | null {
  const [seen, set] = useState<Seen | Error | null>(null);
  useEffect(() => {
    set(null);
    if (!id) return;
    let here = true;
    // What is only scrolled past is not asked for.
    const timer = setTimeout(() => source.see(id).then((found) => here && set(found), (error) => here && set(error)), wait);
    return () => { here = false; clearTimeout(timer); };
  }, [id]);
  return seen;
}

const isEverything = ({ sql, order, column, filters }: Query) => !sql.trim() && !order && !column && !Object.keys(filters).length;

interface GridProps {
  source: Source; query: Query; hidden: Hidden; onTotal: (page: Page) => void; onError: (error: Error) => void;
  onHeard: (answers: Answer[]) => void; href: (row: Row, place: number) => string;
}

export function Grid({ source, query, hidden, onTotal, onError, onHeard, href }: GridProps) {
  const place = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 800, height: 600 });
  const [top, setTop] = useState(0);
  const [total, setTotal] = useState<number | null>(null);
  const [current, setCurrent] = useState(0);
  const focusNext = useRef<number | null>(null);
  const [, redraw] = useState(0);
  const blocks = useRef(new Map<number, Row[] | "coming">());
  const answers = useRef(new Map<string, Answer[]>());
  const key = JSON.stringify(query);
  const now = useRef(key);
  now.current = key;
  const where = `${read().page} ${key}`;
  const before = useRef(0);

  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setSize({ width: entry.contentRect.width, height: entry.contentRect.height }));
    watch.observe(place.current!);
    return () => watch.disconnect();
  }, []);

  const load = (block: number) => {
    if (blocks.current.has(block)) return;
    blocks.current.set(block, "coming");
    source.rows(query, block * BLOCK, BLOCK).then(
      (page) => {
        if (now.current !== key) return;
        blocks.current.set(block, page.rows);
        bound(blocks.current, MOST_BLOCKS);
        setTotal(page.total);
        if (block === 0) onTotal(page);
        redraw((count) => count + 1);
      },
      (error) => { blocks.current.delete(block); if (now.current === key) { setTotal(0); onError(error); } },
    );
  };

  // The rows with what was measured take a while; the same samples, in the same places, are there before them.
  const begin = () => source.first()?.then(
    (page) => {
      if (now.current !== key || blocks.current.get(0) !== "coming") return;
      blocks.current.set(0, page.rows);
      setTotal(page.total);
    },
    () => undefined, // whoever asks for all rows is told
  );

  useEffect(() => {
    blocks.current = new Map();
    setTotal(null);
    const was = PLACES.get(where);
    before.current = was?.top ?? 0;
    setCurrent(was?.current ?? 0);
    place.current!.scrollTop = 0;
    if (isEverything(query)) begin();
    load(0);
  }, [key]);

  // As soon as there is room to scroll in.
  useLayoutEffect(() => {
    if (total === null || !before.current) return;
    place.current!.scrollTop = before.current;
    before.current = 0;
  }, [total]);
  useEffect(() => {
    if (total === null || before.current) return;
    PLACES.delete(where);
    PLACES.set(where, { top: place.current!.scrollTop, current });
    bound(PLACES, MOST_BLOCKS);
  }, [top, current, total]);

  const columns = Math.max(1, Math.floor((size.width - 8) / TILE));
  const lines = Math.ceil((total ?? 0) / columns);
  // Beyond what a browser can scroll, the bar stands for more lines than it has px.
  const scale = Math.max(1, (lines * TALL) / TALLEST);
  const first = Math.max(0, Math.floor((top * scale) / TALL) - 1);
  const last = Math.min(lines, first + Math.ceil(size.height / TALL) + 3);
  const shown: { row: Row | undefined; place: number }[] = [];
  for (let at = first * columns; at < Math.min(last * columns, total ?? 0); at++) {
    const block = Math.floor(at / BLOCK), rows = blocks.current.get(block);
    if (!rows) load(block);
    shown.push({ row: Array.isArray(rows) ? rows[at % BLOCK] : undefined, place: at });
  }

  const missing = shown.map(({ row }) => row?.entity_id as string | undefined).filter((id): id is string => !!id && !answers.current.has(id));
  const wanted = [...new Set(missing)].join(" ");
  useEffect(() => {
    if (!wanted) return;
    const timer = setTimeout(() => {
      const ids = wanted.split(" ");
      source.answers(ids).then((found) => {
        for (const id of ids) answers.current.set(id, found[id] ?? NOTHING_SAID);
        bound(answers.current, MOST_ANSWERS);
        onHeard(ids.flatMap((id) => found[id] ?? []));
        redraw((count) => count + 1);
      }, onError);
    }, 120);
    return () => clearTimeout(timer);
  }, [wanted]);

  // The focus goes to a tile as soon as it is there: after a jump its row may still be on the way.
  useEffect(() => {
    // By the place that a key asked for: effects of an earlier drawing come after a key that was quicker.
    if (focusNext.current === null) return;
    const tile = place.current!.querySelector<HTMLElement>(`[data-at="${focusNext.current}"]`);
    if (!tile) return;
    focusNext.current = null;
    tile.focus({ preventScroll: true });
  });
  const step = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !total) return;
    const screen = Math.max(1, Math.floor(size.height / TALL)) * columns;
    const to: Record<string, number> = {
      ArrowRight: current + 1, ArrowLeft: current - 1, ArrowDown: current + columns, ArrowUp: current - columns,
      PageDown: current + screen, PageUp: current - screen, Home: 0, End: total - 1,
    };
    if (!(event.key in to)) return;
    event.preventDefault();
    const next = Math.min(total - 1, Math.max(0, to[event.key]));
    const high = (Math.floor(next / columns) * TALL) / scale, room = place.current!;
    if (high < room.scrollTop) room.scrollTop = high;
    else if (high + TALL > room.scrollTop + size.height) room.scrollTop = high + TALL - size.height;
    focusNext.current = next;
    setCurrent(next);
  };
  const moved = (event: { currentTarget: HTMLElement }) => {
    const next = event.currentTarget.scrollTop;
    // Nothing is drawn anew before another line comes to be on the screen.
    if (scale > 1 || Math.floor(next / TALL) !== Math.floor(top / TALL)) setTop(next);
  };

  const offset = scale > 1 ? first * TALL - top * scale + top : first * TALL;
  return (
    <div class="grid" ref={place} onScroll={moved} onKeyDown={step} tabIndex={0}
      role="region" aria-label={`${total === null ? "" : total.toLocaleString("en")} samples; arrows go from one to the next`}>
      {total === 0 && <p class="nothing">no rows</p>}
      <div class="room" style={{ height: `${Math.min(lines * TALL, TALLEST)}px` }}>
        <div class="tiles" style={{ transform: `translateY(${offset}px)`, gridTemplateColumns: `repeat(${columns}, ${TILE - 8}px)`, "--wide": `${columns * TILE - 8}px` }}>
          {shown.map(({ row, place: at }) =>
            row ? <Tile key={`${at} ${row.entity_id}`} source={source} row={row} at={at} href={href(row, at)} hidden={hidden}
              isCurrent={at === current} onFocus={setCurrent} answers={answers.current.get(row.entity_id) ?? NOTHING_SAID} by={query.column} />
              : <div key={`${at}`} class="tile coming" />)}
        </div>
      </div>
    </div>
  );
}

interface TileProps {
  source: Source; row: Row; at: number; href: string; answers: Answer[]; hidden: Hidden; by: string;
  isCurrent: boolean; onFocus: (at: number) => void;
}

/** Drawn anew only where something of it is another: while one scrolls, most tiles stay as they are. */
class Tile extends Component<TileProps> {
  shouldComponentUpdate(next: TileProps) {
    return (Object.keys(next) as (keyof TileProps)[]).some((name) => next[name] !== this.props[name]);
  }

  render() { return <Sample {...this.props} />; }
}

function Sample({ source, row, at, href, answers, hidden, by, isCurrent, onFocus }: TileProps) {
  const seen = useSeen(source, row.entity_id, 60);
  const visible = answers.filter((answer) => !hidden.actors.has(answer.actor_id) && !hidden.questions.has(answer.question_id));
  const label = row.label ?? row.leading ?? visible.find((answer) => !answer.regions)?.label;
  return (
    <a class="tile" href={href} data-at={at} tabIndex={isCurrent ? 0 : -1} onFocus={() => onFocus(at)}
      title={visible.map((answer) => `${answer.actor_id}: ${says(answer)}`).join("\n")}>
      <div class="picture">
        {seen instanceof Error ? <div class="nothing">{seen.message}</div>
          : seen && <Shown seen={seen} answers={visible} hidden={hidden} title={shortId(row.entity_id)} />}
      </div>
      <div class="caption">
        {row.votes ? <Votes votes={row.votes} /> : label != null && <span class="class"><i style={{ background: colourOf(String(label)) }} />{String(label)}</span>}
        <span class="quiet">{row.agreed != null ? `agreed ${brief(row.agreed)}` : row.told ? String(row.told) : row.truth != null ? `said ${row.said ?? "nothing"}, is ${row.truth}` : by && row[by] != null ? brief(row[by]) : shortId(row.entity_id)}</span>
      </div>
    </a>
  );
}

const ACTOR = /^(human|model|import|pool|consensus):/;

/** How often each answer was given, as a bar of their colours. `votes` is a list of [answer, count] or an object. */
export function Votes({ votes }: { votes: unknown }) {
  const given = (Array.isArray(votes) ? votes : Object.entries(votes ?? {})) as [string, number][];
  const pairs = given.filter((pair) => Array.isArray(pair) && typeof pair[1] === "number");
  const all = pairs.reduce((sum, [, count]) => sum + count, 0);
  if (!all) return null;
  return (
    <span class="votes">
      <span class="votebar" aria-hidden="true">{pairs.map(([name, count]) => <b key={name} style={{ width: `${(100 * count) / all}%`, background: colourOf(name) }} />)}</span>
      <span>{pairs.map(([name, count]) => `${name.replace(ACTOR, "")} ${brief(count)}`).join(", ")}</span>
    </span>
  );
}

function Shown({ seen, answers, hidden, title }: { seen: Seen; answers: Answer[]; hidden: Hidden; title: string }) {
  const { preview, url } = seen;
  if (preview.kind === "image" || (preview.kind === "drawing" && url)) return <Stage preview={preview} url={url} answers={answers} hidden={hidden} title={title} />;
  if (preview.kind === "array" && url) return <Heat preview={preview} url={url} title={title} />;
  if (url) return <img src={url} alt={title} class={preview.kind === "audio" ? "wave" : ""} />;
  return <div class="nothing">{preview.text || preview.problem || `${preview.media_type}, ${preview.size_bytes.toLocaleString("en")} bytes`}</div>;
}

const brief = (value: unknown): string =>
  typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value).slice(0, 24);
