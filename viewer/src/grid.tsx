// A grid of any length: only what is on the screen is there.

import { useEffect, useRef, useState } from "preact/hooks";
import { colourOf } from "./colours";
import { says, shortId, type Answer, type Page, type Query, type Row, type Seen } from "./model";
import type { Source } from "./source";
import { type Hidden, Stage } from "./stage";

const TILE = 168; // px, with the gap
const TALL = 204;
const BLOCK = 200; // rows that are asked for at once
const TALLEST = 16_000_000; // px; browsers end pages at about twice that

export function useSeen(source: Source, id: string, wait = 0): Seen | Error | null {
  const [seen, set] = useState<Seen | Error | null>(null);
  useEffect(() => {
    set(null);
    let here = true;
    // What is only scrolled past is not asked for.
    const timer = setTimeout(() => source.see(id).then((found) => here && set(found), (error) => here && set(error)), wait);
    return () => { here = false; clearTimeout(timer); };
  }, [id]);
  return seen;
}

interface GridProps {
  source: Source; query: Query; hidden: Hidden; onTotal: (page: Page) => void; onError: (error: Error) => void;
  href: (row: Row, place: number) => string;
}

export function Grid({ source, query, hidden, onTotal, onError, href }: GridProps) {
  const place = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 800, height: 600 });
  const [top, setTop] = useState(0);
  const [total, setTotal] = useState<number | null>(null);
  const [, redraw] = useState(0);
  const blocks = useRef(new Map<number, Row[] | "coming">());
  const answers = useRef(new Map<string, Answer[]>());
  const key = JSON.stringify(query);
  const now = useRef(key);
  now.current = key;

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
        setTotal(page.total);
        if (block === 0) onTotal(page);
        redraw((count) => count + 1);
      },
      (error) => { blocks.current.delete(block); if (now.current === key) { setTotal(0); onError(error); } },
    );
  };

  useEffect(() => {
    blocks.current = new Map();
    setTotal(null);
    place.current!.scrollTop = 0;
    load(0);
  }, [key]);

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
        for (const id of ids) answers.current.set(id, found[id] ?? []);
        redraw((count) => count + 1);
      }, onError);
    }, 120);
    return () => clearTimeout(timer);
  }, [wanted]);

  const offset = first * TALL - top * scale + top;
  return (
    <div class="grid" ref={place} onScroll={(event) => setTop(event.currentTarget.scrollTop)} tabIndex={0}
      role="region" aria-label={`${total ?? 0} samples`}>
      {total === 0 && <p class="nothing">no rows</p>}
      <div class="room" style={{ height: `${Math.min(lines * TALL, TALLEST)}px` }}>
        <div class="tiles" style={{ transform: `translateY(${offset}px)`, gridTemplateColumns: `repeat(${columns}, ${TILE - 8}px)` }}>
          {shown.map(({ row, place: at }) =>
            row ? <Tile key={`${at} ${row.entity_id}`} source={source} row={row} href={href(row, at)} hidden={hidden}
              answers={answers.current.get(row.entity_id) ?? []} by={query.column} />
              : <div key={`${at}`} class="tile coming" />)}
        </div>
      </div>
    </div>
  );
}

function Tile({ source, row, href, answers, hidden, by }:
  { source: Source; row: Row; href: string; answers: Answer[]; hidden: Hidden; by: string }) {
  const seen = useSeen(source, row.entity_id, 60);
  const visible = answers.filter((answer) => !hidden.actors.has(answer.actor_id) && !hidden.questions.has(answer.question_id));
  const label = row.label ?? row.leading ?? visible.find((answer) => !answer.regions)?.label;
  return (
    <a class="tile" href={href} title={visible.map((answer) => `${answer.actor_id}: ${says(answer)}`).join("\n")}>
      <div class="picture">
        {seen instanceof Error ? <div class="nothing">{seen.message}</div>
          : seen && <Shown seen={seen} answers={visible} hidden={hidden} title={shortId(row.entity_id)} />}
      </div>
      <div class="caption">
        {label != null && <span class="class"><i style={{ background: colourOf(String(label)) }} />{String(label)}</span>}
        <span class="quiet">{by && row[by] != null ? brief(row[by]) : shortId(row.entity_id)}</span>
      </div>
    </a>
  );
}

function Shown({ seen, answers, hidden, title }: { seen: Seen; answers: Answer[]; hidden: Hidden; title: string }) {
  const { preview, url } = seen;
  if (preview.kind === "image") return <Stage preview={preview} url={url} answers={answers} hidden={hidden} title={title} />;
  if (url) return <img src={url} alt={title} class={preview.kind === "audio" ? "wave" : ""} />;
  return <div class="nothing">{preview.text || preview.problem || `${preview.media_type}, ${preview.size_bytes.toLocaleString("en")} bytes`}</div>;
}

const brief = (value: unknown): string =>
  typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value).slice(0, 24);
