// One picture with what is said of it: an SVG whose unit is a pixel of the stored picture.
//
// Regions are in px of the stored picture, before its EXIF rotation. So the picture is drawn unrotated, regions upon it,
// and both are turned together.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { colourOf, rgbOf } from "./colours";
import type { Answer, Mask, Preview, Region } from "./model";

type Matrix = [number, number, number, number, number, number];

/** How EXIF orientation 1 to 8 brings a stored pixel to where it is seen. */
export function turning(orientation: number, width: number, height: number): Matrix {
  const all: Record<number, Matrix> = {
    2: [-1, 0, 0, 1, width, 0], 3: [-1, 0, 0, -1, width, height], 4: [1, 0, 0, -1, 0, height], 5: [0, 1, 1, 0, 0, 0],
    6: [0, 1, -1, 0, height, 0], 7: [0, -1, -1, 0, height, width], 8: [0, -1, 1, 0, 0, width],
  };
  return all[orientation] ?? [1, 0, 0, 1, 0, 0];
}

const moved = ([a, b, c, d, e, f]: Matrix, x: number, y: number) => [a * x + c * y + e, b * x + d * y + f] as const;
const back = ([a, b, c, d, e, f]: Matrix, x: number, y: number) => {
  const size = a * d - b * c;
  return [(d * (x - e) - c * (y - f)) / size, (a * (y - f) - b * (x - e)) / size] as const;
};

export interface Hidden { actors: Set<string>; questions: Set<string>; classes: Set<string>; least: number }
export const nothingHidden: Hidden = { actors: new Set(), questions: new Set(), classes: new Set(), least: 0 };

export function regionsOf(answers: Answer[], hidden: Hidden): { region: Region; answer: Answer }[] {
  return answers
    .filter((answer) => answer.regions && !hidden.actors.has(answer.actor_id) && !hidden.questions.has(answer.question_id))
    .flatMap((answer) => answer.regions!.map((region) => ({ region, answer })))
    .filter(({ region }) => !hidden.classes.has(region.label ?? "") && (region.score ?? 1) >= hidden.least);
}

export interface Box { x: number; y: number; w: number; h: number }
export interface View { x: number; y: number; w: number; h: number }

interface StageProps {
  preview: Preview; url: string; answers: Answer[]; hidden?: Hidden; labels?: boolean; title: string;
  view?: View | null; onView?: (view: View) => void;
  /** Class of the box that is being drawn; null: none. */
  drawing?: string | null; onBox?: (box: Box) => void;
  /** A box that is being changed: it starts as it is. */
  changing?: Region | null; onDrop?: () => void; onRemove?: () => void;
}

type Corners = { from: readonly [number, number]; to: readonly [number, number] };

export function Stage(props: StageProps) {
  const { preview, url, answers, hidden = nothingHidden, labels, title, view, onView, drawing, onBox, changing } = props;
  const { width, height, orientation } = preview;
  const matrix = turning(orientation, width, height);
  const [seenWidth, seenHeight] = orientation >= 5 ? [height, width] : [width, height];
  const whole = { x: 0, y: 0, w: seenWidth, h: seenHeight };
  const shown = view ?? whole;
  const place = useRef<SVGSVGElement>(null);
  const [draft, setDraft] = useState<Corners | null>(null);
  const [isHeld, setHeld] = useState(false);
  const [chosen, setChosen] = useState<number | null>(null);
  const regions = useMemo(() => regionsOf(answers, hidden), [answers, hidden]);
  useEffect(() => setChosen(null), [url, regions.length]);
  // At once, before the next key: whoever types fast must not move the picture in place of the box.
  useLayoutEffect(() => {
    // A box that is changed starts where it is; the picture takes the keys.
    if (!changing || changing.x == null || changing.y == null) return setDraft(null);
    const { x, y, w, h } = changing;
    setDraft({ from: moved(matrix, x, y), to: moved(matrix, x + (w ?? 0), y + (h ?? 0)) });
    place.current?.parentElement?.focus();
  }, [changing]);
  useLayoutEffect(() => { if (!drawing && !changing) setDraft(null); else place.current?.parentElement?.focus(); }, [drawing]);

  const at = (event: { clientX: number; clientY: number }): readonly [number, number] => {
    const inside = new DOMPoint(event.clientX, event.clientY).matrixTransform(place.current!.getScreenCTM()!.inverse());
    return [inside.x, inside.y];
  };
  const zoom = (factor: number, [x, y]: readonly [number, number]) => {
    const w = Math.min(whole.w * 2, Math.max(4, shown.w * factor)), scale = w / shown.w;
    onView!({ x: x - (x - shown.x) * scale, y: y - (y - shown.y) * scale, w, h: shown.h * scale });
  };

  useEffect(() => {
    const svg = place.current;
    if (!svg || !onView) return;
    // Preact's own listener would be passive, and the page would scroll with the picture.
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      zoom(Math.exp(event.deltaY * 0.0015), at(event));
    };
    svg.addEventListener("wheel", wheel, { passive: false });
    return () => svg.removeEventListener("wheel", wheel);
  });

  const down = (event: PointerEvent) => {
    if (!onView && !drawing) return;
    place.current!.setPointerCapture(event.pointerId);
    if (drawing || changing) {
      setHeld(true);
      return setDraft({ from: at(event), to: at(event) });
    }
    const start = shown;
    const move = (next: PointerEvent) => {
      const matrix = place.current!.getScreenCTM()!;
      onView!({ ...start, x: start.x - (next.clientX - event.clientX) / matrix.a, y: start.y - (next.clientY - event.clientY) / matrix.d });
    };
    const up = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", up); };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
  };
  const finish = () => {
    setHeld(false);
    if (!draft || !onBox) return setDraft(null);
    const [one, other] = [back(matrix, ...draft.from), back(matrix, ...draft.to)];
    const clip = (value: number, most: number) => Math.min(most, Math.max(0, value));
    const x = clip(Math.min(one[0], other[0]), width), y = clip(Math.min(one[1], other[1]), height);
    const w = clip(Math.max(one[0], other[0]), width) - x, h = clip(Math.max(one[1], other[1]), height) - y;
    setDraft(null);
    if (w >= 1 && h >= 1) onBox({ x, y, w, h });
    else props.onDrop?.();
  };

  const pressed = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] } as Record<string, [number, number]>)[event.key];
    const middle = [shown.x + shown.w / 2, shown.y + shown.h / 2] as const;
    if (draft && arrow) {
      const [dx, dy] = arrow.map((way) => way * Math.max(1, Math.round(shown.w / 100)));
      const { from, to } = draft;
      setDraft({ from: event.shiftKey ? from : [from[0] + dx, from[1] + dy], to: [to[0] + dx, to[1] + dy] });
    } else if (draft && event.key === "Enter") finish();
    else if (draft && event.key === "Escape") { setDraft(null); props.onDrop?.(); }
    else if (changing && (event.key === "Delete" || event.key === "Backspace")) props.onRemove?.();
    else if (drawing && event.key === "b") {
      const [w, h] = [shown.w / 6, shown.h / 6].map(Math.round);
      setDraft({ from: [Math.round(middle[0]) - w, Math.round(middle[1]) - h], to: [Math.round(middle[0]) + w, Math.round(middle[1]) + h] });
    } else if (onView && arrow) onView({ ...shown, x: shown.x + arrow[0] * shown.w * 0.1, y: shown.y + arrow[1] * shown.h * 0.1 });
    else if (onView && (event.key === "+" || event.key === "=")) zoom(0.8, middle);
    else if (onView && event.key === "-") zoom(1.25, middle);
    else if (onView && event.key === "0") onView(whole);
    else if ((event.key === "]" || event.key === "[") && regions.length) {
      const step = event.key === "]" ? 1 : -1;
      setChosen(chosen === null ? (step > 0 ? 0 : regions.length - 1) : (chosen + step + regions.length) % regions.length);
    } else return;
    event.preventDefault();
    event.stopPropagation(); // on the page the same arrows lead to the next sample
  };

  if (!url || !width) return <div class="nothing">{preview.problem || preview.text || preview.media_type}</div>;
  const told = chosen === null ? null : regions[chosen];
  const svg = (
    <svg ref={place} class={`stage${drawing || changing ? " drawing" : ""}`} role="img" aria-label={title}
      style={onView ? { aspectRatio: `${seenWidth} / ${seenHeight}` } : undefined}
      viewBox={`${shown.x} ${shown.y} ${shown.w} ${shown.h}`} preserveAspectRatio="xMidYMid meet"
      onPointerDown={down} onPointerMove={(event) => isHeld && draft && setDraft({ ...draft, to: at(event) })}
      onPointerUp={() => isHeld && finish()} onPointerCancel={() => { setHeld(false); setDraft(null); }}
      onDblClick={() => onView?.(whole)}>
      <g transform={`matrix(${matrix.join(" ")})`}>
        <image href={url} x={0} y={0} width={width} height={height} preserveAspectRatio="none"
          class={shown.w < seenWidth / 3 || width <= 96 ? "pixels" : "smooth"} />
        {regions.map(({ region }, key) => (
          <Shape key={key} region={region} selected={chosen === key} faded={changing === region} onPointerDown={labels ? () => setChosen(key) : undefined} />
        ))}
      </g>
      {labels && named(regions, matrix, shown).map(({ region, answer, x, y }, key) => (
        <text key={key} x={x} y={y} font-size={letters(shown)} class="label" stroke-width={letters(shown) / 6} fill={colourOf(region.label ?? "")}>
          {region.label ?? region.kind} {region.score != null ? region.score.toFixed(2) : ""}
          <title>{answer.actor_id}</title>
        </text>
      ))}
      {draft && <rect class="draft" x={Math.min(draft.from[0], draft.to[0])} y={Math.min(draft.from[1], draft.to[1])}
        width={Math.abs(draft.to[0] - draft.from[0])} height={Math.abs(draft.to[1] - draft.from[1])} />}
    </svg>
  );
  if (!onView) return svg;
  return (
    <>
      <div class="frame" tabIndex={0} role="group" aria-label={`${title}; plus and minus zoom, arrows move it, brackets go through its regions`} onKeyDown={pressed}>{svg}</div>
      <p class="line tools">
        <button class="small" aria-label="closer" onClick={() => zoom(0.8, [shown.x + shown.w / 2, shown.y + shown.h / 2])}>+</button>
        <button class="small" aria-label="further" onClick={() => zoom(1.25, [shown.x + shown.w / 2, shown.y + shown.h / 2])}>−</button>
        <button class="small" onClick={() => onView(whole)}>all of it</button>
        <span class="quiet">{width} × {height} px{orientation > 1 ? `, EXIF orientation ${orientation}` : ""}</span>
        <span aria-live="polite">{told && <><i style={{ background: colourOf(told.region.label ?? "") }} />{told.region.label ?? told.region.kind}
          {told.region.score != null ? ` ${told.region.score.toFixed(3)}` : ""} of {told.answer.actor_id}, {measuresOf(told.region)}</>}</span>
      </p>
    </>
  );
}

const measuresOf = ({ kind, x, y, w, h, angle }: Region): string => {
  if (x == null || y == null || w == null || h == null) return kind ?? "";
  const [left, upper, wide, tall] = [x, y, w, h].map((value) => Number(value.toFixed(1)));
  return `${wide} × ${tall} px at ${left}, ${upper}${angle ? `, turned ${Number(angle.toFixed(1))}°` : ""}`;
};

/** Height of letters, in px of the picture, that can be read on this screen. */
const letters = (shown: View): number => Math.max(shown.w / 70, shown.h / 40) * (innerWidth < 700 ? 1.6 : 1);

/** Where names stand. What several people drew of one thing has one name: brackets tell of each. */
function named(regions: { region: Region; answer: Answer }[], matrix: Matrix, shown: View) {
  const found: { region: Region; answer: Answer; x: number; y: number }[] = [];
  const tall = letters(shown);
  for (const { region, answer } of regions) {
    const corners = cornersOf(region).map((corner) => moved(matrix, ...corner));
    if (!corners.length) continue;
    const x = Math.min(...corners.map(([left]) => left)), high = Math.min(...corners.map(([, upper]) => upper));
    const y = Math.max(high, shown.y + 1.2 * tall); // of a region at the upper edge inside it
    const isNamed = found.some((other) => other.region.label === region.label && Math.abs(other.x - x) < 3 * tall && Math.abs(other.y - y) < 1.2 * tall);
    if (!isNamed) found.push({ region, answer, x, y });
  }
  return found;
}

function cornersOf({ x, y, w = 0, h = 0, rings, keypoints }: Region): [number, number][] {
  if (x != null && y != null) return [[x, y], [x + (w ?? 0), y + (h ?? 0)]];
  return (rings?.[0] ?? keypoints ?? []).map(([px, py]) => [px, py]);
}

export function Shape({ region, selected, faded, onPointerDown }:
  { region: Region; selected?: boolean; faded?: boolean; onPointerDown?: () => void }) {
  const colour = colourOf(region.label ?? "");
  const look = { stroke: colour, class: `shape${selected ? " selected" : ""}${faded ? " faded" : ""}`, onPointerDown };
  const parts = [];
  if (region.mask) parts.push(<Painted mask={region.mask} name={region.label ?? ""} />);
  for (const ring of region.rings ?? []) {
    if (region.kind === "point") { // one place: as a polygon it would be nothing
      parts.push(...ring.map(([x, y]) => <circle {...look} cx={x} cy={y} r={2.5} class={`point${faded ? " faded" : ""}`} fill={colour} />));
      continue;
    }
    const points = ring.map((point) => point.join(",")).join(" ");
    parts.push(region.closed === false ? <polyline {...look} points={points} /> : <polygon {...look} points={points} />);
  }
  for (const [x, y, v] of region.keypoints ?? [])
    if (v !== 0) parts.push(<circle {...look} cx={x} cy={y} r={2.5} class={`point${v === 1 ? " covered" : ""}`} fill={colour} />);
  const { x, y, w, h, angle } = region;
  if (x != null && y != null && w != null && h != null && !region.rings && !region.mask) {
    const transform = angle ? `rotate(${angle} ${x + w / 2} ${y + h / 2})` : undefined;
    parts.push(region.kind === "ellipse"
      ? <ellipse {...look} cx={x + w / 2} cy={y + h / 2} rx={w / 2} ry={h / 2} transform={transform} />
      : <rect {...look} x={x} y={y} width={w} height={h} transform={transform} />);
  }
  return <>{parts}</>;
}

/** A mask as a picture of its own, in the colour of its class. */
function Painted({ mask, name }: { mask: Mask; name: string }) {
  const url = useMemo(() => {
    if (!mask.runs || mask.problem) return "";
    const canvas = document.createElement("canvas");
    canvas.width = mask.width;
    canvas.height = mask.height;
    const context = canvas.getContext("2d")!;
    const picture = context.createImageData(mask.width, mask.height);
    const [red, green, blue] = rgbOf(name);
    let at = 0;
    mask.runs.forEach((run, place) => {
      if (place % 2)
        for (let pixel = at; pixel < at + run; pixel++) {
          const target = 4 * ((pixel % mask.height) * mask.width + Math.floor(pixel / mask.height)); // down the columns
          picture.data.set([red, green, blue, 128], target);
        }
      at += run;
    });
    context.putImageData(picture, 0, 0);
    return canvas.toDataURL();
  }, [mask, name]);
  return url ? <image href={url} x={0} y={0} width={mask.width} height={mask.height} class="pixels" /> : null;
}
