// One picture with what is said of it: an SVG whose unit is a pixel of the stored picture.
//
// Regions are in px of the stored picture, before its EXIF rotation. So the picture is drawn unrotated, regions upon it,
// and both are turned together.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
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
  view?: View | null; onView?: (view: View) => void; drawing?: string | null; onBox?: (box: Box) => void;
  selected?: Region | null; onSelect?: (region: Region, answer: Answer) => void;
}

export function Stage(props: StageProps) {
  const { preview, url, answers, hidden = nothingHidden, labels, title, view, onView, drawing, onBox } = props;
  const { width, height, orientation } = preview;
  const matrix = turning(orientation, width, height);
  const [seenWidth, seenHeight] = orientation >= 5 ? [height, width] : [width, height];
  const whole = { x: 0, y: 0, w: seenWidth, h: seenHeight };
  const shown = view ?? whole;
  const place = useRef<SVGSVGElement>(null);
  const [draft, setDraft] = useState<{ from: readonly [number, number]; to: readonly [number, number] } | null>(null);
  const regions = useMemo(() => regionsOf(answers, hidden), [answers, hidden]);

  const at = (event: { clientX: number; clientY: number }): readonly [number, number] => {
    const inside = new DOMPoint(event.clientX, event.clientY).matrixTransform(place.current!.getScreenCTM()!.inverse());
    return [inside.x, inside.y];
  };

  useEffect(() => {
    const svg = place.current;
    if (!svg || !onView) return;
    // Preact's own listener would be passive, and the page would scroll with the picture.
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const [x, y] = at(event);
      const factor = Math.exp(event.deltaY * 0.0015);
      const w = Math.min(whole.w * 2, Math.max(4, shown.w * factor)), scale = w / shown.w;
      onView({ x: x - (x - shown.x) * scale, y: y - (y - shown.y) * scale, w, h: shown.h * scale });
    };
    svg.addEventListener("wheel", wheel, { passive: false });
    return () => svg.removeEventListener("wheel", wheel);
  });

  const down = (event: PointerEvent) => {
    if (!onView && !drawing) return;
    place.current!.setPointerCapture(event.pointerId);
    if (drawing) return setDraft({ from: at(event), to: at(event) });
    const from = at(event), start = shown;
    const move = (next: PointerEvent) => {
      const scale = start.w / place.current!.getBoundingClientRect().width;
      onView!({ ...start, x: start.x - (next.clientX - event.clientX) * scale, y: start.y - (next.clientY - event.clientY) * scale });
    };
    const up = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", up); };
    void from;
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
  };
  const finish = () => {
    if (!draft || !onBox) return setDraft(null);
    const [one, other] = [back(matrix, ...draft.from), back(matrix, ...draft.to)];
    const clip = (value: number, most: number) => Math.min(most, Math.max(0, value));
    const x = clip(Math.min(one[0], other[0]), width), y = clip(Math.min(one[1], other[1]), height);
    const w = clip(Math.max(one[0], other[0]), width) - x, h = clip(Math.max(one[1], other[1]), height) - y;
    setDraft(null);
    if (w >= 1 && h >= 1) onBox({ x, y, w, h });
  };

  if (!url || !width) return <div class="nothing">{preview.problem || preview.text || preview.media_type}</div>;
  return (
    <svg ref={place} class={`stage${drawing ? " drawing" : ""}`} role="img" aria-label={title}
      viewBox={`${shown.x} ${shown.y} ${shown.w} ${shown.h}`} preserveAspectRatio="xMidYMid meet"
      onPointerDown={down} onPointerMove={(event) => draft && setDraft({ ...draft, to: at(event) })} onPointerUp={finish}
      onDblClick={() => onView?.(whole)}>
      <g transform={`matrix(${matrix.join(" ")})`}>
        <image href={url} x={0} y={0} width={width} height={height} preserveAspectRatio="none"
          class={shown.w < seenWidth / 3 || width <= 96 ? "pixels" : "smooth"} />
        {regions.map(({ region, answer }, key) => (
          <Shape key={key} region={region} selected={props.selected === region}
            onClick={props.onSelect && (() => props.onSelect!(region, answer))} />
        ))}
      </g>
      {labels && regions.map(({ region, answer }, key) => {
        const corners = cornersOf(region).map((corner) => moved(matrix, ...corner));
        if (!corners.length) return null;
        const x = Math.min(...corners.map(([left]) => left)), high = Math.min(...corners.map(([, upper]) => upper));
        const y = Math.max(high, shown.y + shown.w / 40); // of a region at the upper edge inside it
        return (
          <text key={key} x={x} y={y} font-size={shown.w / 45} class="label" stroke-width={shown.w / 300} fill={colourOf(region.label ?? "")}>
            {region.label ?? region.kind} {region.score != null ? region.score.toFixed(2) : ""}
            <title>{answer.actor_id}</title>
          </text>
        );
      })}
      {draft && <rect class="draft" x={Math.min(draft.from[0], draft.to[0])} y={Math.min(draft.from[1], draft.to[1])}
        width={Math.abs(draft.to[0] - draft.from[0])} height={Math.abs(draft.to[1] - draft.from[1])} />}
    </svg>
  );
}

function cornersOf({ x, y, w = 0, h = 0, rings, keypoints }: Region): [number, number][] {
  if (x != null && y != null) return [[x, y], [x + (w ?? 0), y + (h ?? 0)]];
  return (rings?.[0] ?? keypoints ?? []).map(([px, py]) => [px, py]);
}

export function Shape({ region, selected, onClick }: { region: Region; selected?: boolean; onClick?: () => void }) {
  const colour = colourOf(region.label ?? "");
  const look = { stroke: colour, class: `shape${selected ? " selected" : ""}`, onClick };
  const parts = [];
  if (region.mask) parts.push(<Painted mask={region.mask} name={region.label ?? ""} />);
  for (const ring of region.rings ?? []) {
    const points = ring.map((point) => point.join(",")).join(" ");
    parts.push(region.closed === false ? <polyline {...look} points={points} /> : <polygon {...look} points={points} />);
  }
  for (const [x, y, v] of region.keypoints ?? [])
    if (v !== 0) parts.push(<circle {...look} cx={x} cy={y} r={2.5} class={`point${v === 1 ? " covered" : ""}`} fill={colour} />);
  const { x, y, w, h, angle } = region;
  if (x != null && y != null && w != null && h != null && !region.rings && !region.mask)
    parts.push(<rect {...look} x={x} y={y} width={w} height={h}
      transform={angle ? `rotate(${angle} ${x + w / 2} ${y + h / 2})` : undefined} />);
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
