// Precision over recall: a curve for each class, and the values where the pointer, or the arrows, are.

import { useState } from "preact/hooks";
import { colourOf } from "./colours";
import type { Row } from "./model";
import { Table } from "./table";

const SIDE = 320, EDGE = 34; // px of the drawing, and of the room for its axes
const MOST = 50; // curves: `lakehouse.viewing.curves.CLASSES`

export function Curves({ curves, split }: { curves: Row[]; split: string }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const x = (recall: number) => EDGE + recall * (SIDE - EDGE - 8), y = (precision: number) => 8 + (1 - precision) * (SIDE - EDGE - 8);
  const path = (points: [number, number, number][]) => points.map(([recall, precision], at) => `${at ? "L" : "M"}${x(recall).toFixed(1)} ${y(precision).toFixed(1)}`).join("");
  const marks = [0, 0.25, 0.5, 0.75, 1];
  return (
    <div class="curves">
      <svg viewBox={`0 0 ${SIDE} ${SIDE}`} role="img" aria-label={`precision over recall of split ${split}, ${curves.length} classes; the areas stand in the table`}>
        {marks.map((mark) => (
          <g key={mark} class="axis">
            <line x1={x(mark)} y1={y(0)} x2={x(mark)} y2={y(1)} /><line x1={x(0)} y1={y(mark)} x2={x(1)} y2={y(mark)} />
            <text x={x(mark)} y={SIDE - 18} text-anchor="middle">{mark}</text><text x={EDGE - 5} y={y(mark) + 4} text-anchor="end">{mark}</text>
          </g>
        ))}
        <text x={x(0.5)} y={SIDE - 3} text-anchor="middle" class="name">recall</text>
        <text x={9} y={y(0.5)} text-anchor="middle" class="name" transform={`rotate(-90 9 ${y(0.5)})`}>precision</text>
        {curves.map((curve) => (
          <path key={curve.label} d={path(curve.points)} class={chosen && chosen !== curve.label ? "curve faded" : "curve"} style={{ stroke: colourOf(curve.label) }}
            onPointerEnter={() => setChosen(curve.label)} onPointerLeave={() => setChosen(null)}><title>{curve.label}</title></path>
        ))}
      </svg>
      <div>
        <p class="line">{curves.map((curve) => (
          <button key={curve.label} class="small" aria-pressed={chosen === curve.label} onClick={() => setChosen(chosen === curve.label ? null : curve.label)}>
            <i style={{ background: colourOf(curve.label) }} />{curve.label}
          </button>
        ))}</p>
        <Table head={`split ${split}`} rows={curves.filter((curve) => !chosen || curve.label === chosen).map((curve) => ({
          class: curve.label, members: curve.support, "area under it": curve.area,
          "precision at recall 0.5": at(curve.points, 0.5), "precision at recall 0.9": at(curve.points, 0.9),
        }))} />
        {curves.length >= MOST && <p class="quiet" role="note">at most {MOST} classes have a curve: those with the most members</p>}
      </div>
    </div>
  );
}

/** The best precision with at least this recall. */
function at(points: [number, number, number][], recall: number): number | null {
  const reached = points.filter((point) => point[0] >= recall).map((point) => point[1]);
  return reached.length ? Math.max(...reached) : null;
}
