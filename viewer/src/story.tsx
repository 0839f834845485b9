// What is known of one entity, in time: who said what and when, what replaced it, what was believed on a day.

import { useState } from "preact/hooks";
import { to } from "./address";
import { colourOf } from "./colours";
import { type Answer, type Row, says } from "./model";
import { Table } from "./table";
import type { Change } from "./toggles";
import { Votes } from "./grid";

const learned = (row: Row): string => String(row.ingest_time ?? row.event_time ?? "");
const brief = (time: unknown): string => String(time ?? "").slice(0, 19).replace("T", " ");
const tidy = (value: unknown): unknown => (typeof value === "string" && /^-?\d+\.\d+$/.test(value) ? Number(value) : value);
const answerOf = (row: Row): Answer => ({ ...row, regions: row.regions ?? undefined }) as Answer;

/** How an opinion stood on a day: what replaced it later had not replaced it yet. "": now. */
function standing(row: Row, said: Row[], day: string): string {
  if (!day) return row.status;
  if (learned(row).slice(0, 10) > day) return "not known yet";
  const by = said.find((other) => other.opinion_id === row.by);
  const isLater = by && row.status !== "retracts" && learned(by).slice(0, 10) > day;
  if (isLater) return "current";
  if (row.status !== "outdated") return row.status;
  // Its actor said something later: was that known?
  const later = said.some((other) => other.actor_id === row.actor_id && other.question_id === row.question_id && other !== row
    && learned(other) > learned(row) && learned(other).slice(0, 10) <= day);
  return later ? "outdated" : "current";
}

export function Story({ story, day, change }: { story: Row; day: string; change: Change }) {
  const { shown, beliefs, materialisations } = story;
  const said = story.said as Row[];
  const then = (beliefs as Row[]).filter((belief) => !day || belief.since.slice(0, 10) <= day);
  const last = new Map<string, Row>();
  for (const belief of then) last.set(`${belief.question} ${belief.policy}`, belief);
  return (
    <>
      <section><h2>What is believed</h2>
        <p class="line"><label>what did we believe on <input type="date" value={day} onChange={(event) => change({ day: event.currentTarget.value || null }, true)} /></label>
          {day && <button class="small" onClick={() => change({ day: null }, true)}>now</button>}
          <span class="quiet">{day ? "as we knew it at the end of that day, UTC" : "now"}</span></p>
        <Table rows={[...last.values()].map((belief) => ({
          question: belief.question, policy: belief.policy,
          answer: belief.answer ? belief.answer.label ?? belief.answer.problem ?? says({ ...answerOf(belief.answer), op: "assert" }) : "nobody was heard",
          votes: belief.answer?.votes?.length ? <Votes votes={belief.answer.votes} /> : null, since: brief(belief.since),
        }))} />
        {day && !last.size && <p class="quiet">nothing was known that day</p>}
      </section>
      <section><h2>What was said</h2><Timeline said={said} day={day} change={change} /></section>
      <section><h2>Datasets</h2><Table rows={shown.datasets} link={(row) => to("dataset", { name: row.dataset_id })} /></section>
      {materialisations.length > 0 && <section><h2>Published</h2><Table rows={materialisations} /></section>}
      <section><h2>Measured</h2><Table rows={(shown.dimensions as Row[]).map((row) => ({ ...row, value: tidy(row.value) }))} columns={["dimension", "value", "unit", "extractor", "extractor_version"]} /></section>
      <section><h2>Where it came from</h2>
        <Table rows={shown.landed} columns={["source", "path", "licence", "campaign", "status", "landed_at", "uri"]} />
        {shown.entity && <Table rows={Object.entries(shown.entity).filter(([, value]) => value != null).map(([name, value]) => ({ what: name, value }))} />}
      </section>
      {shown.rejected.length > 0 && <section><h2>Rejected</h2><Table rows={shown.rejected} /></section>}
    </>
  );
}

/** An opinion of the past as one that is drawn; masks are not, and are told. */
export function drawnThen(row: Row): Answer {
  const span = (start: string, end: string, region: Row) => (region[start] != null && region[end] != null ? [region[start], region[end]] : undefined);
  const regions = ((row.regions ?? []) as Row[]).map((region) => {
    const points = ((region.points ?? []) as Row[]).map(({ x, y, v }) => [x, y, v]);
    let at = 0;
    const rings = ((region.part_sizes ?? [points.length]) as number[]).map((size) => points.slice(at, at += size).map(([x, y]) => [x, y]));
    return {
      kind: region.kind, label: region.label ?? undefined, score: region.score ?? undefined, x: region.x ?? undefined, y: region.y ?? undefined,
      w: region.w ?? undefined, h: region.h ?? undefined, angle: region.angle ?? undefined, track_id: region.track_id ?? undefined,
      closed: region.closed !== false, ...(!points.length ? {} : region.kind === "keypoints" ? { keypoints: points } : { rings }),
      seconds: span("t_start", "t_end", region), characters: span("char_start", "char_end", region), frames: span("frame_start", "frame_end", region),
      mask: region.mask_counts ? { height: region.mask_h, width: region.mask_w, problem: "masks of what was replaced are not drawn" } : undefined,
    };
  });
  return { ...row, regions } as unknown as Answer;
}

function Timeline({ said, day, change }: { said: Row[]; day: string; change: Change }) {
  const [chosen, setChosen] = useState("");
  if (!said.length) return <p class="quiet">nobody said anything yet</p>;
  const times = said.map((row) => Date.parse(learned(row)));
  const [from, until] = [Math.min(...times), Math.max(...times)];
  const share = (time: number) => (until > from ? 2 + (96 * (time - from)) / (until - from) : 50);
  const lanes = [...new Set(said.map((row) => `${row.question_id}\n${row.actor_id}`))].sort();
  const end = day ? Date.parse(`${day}T23:59:59Z`) : NaN;
  return (
    <>
      <div class="lanes" role="group" aria-label="answers in time">
        {lanes.map((lane) => {
          const [question, actor] = lane.split("\n");
          return (
            <div key={lane} class="lane">
              <span class="who"><b>{actor}</b> <span class="quiet">{question}</span></span>
              <span class="rail">
                {end >= from && <span class="then" style={{ left: `${share(Math.min(end, until))}%` }} />}
                {said.map((row, place) => `${row.question_id}\n${row.actor_id}` === lane && (
                  <button key={row.opinion_id} class={`dot ${standing(row, said, day).replaceAll(" ", "-")}`} aria-pressed={chosen === row.opinion_id}
                    style={{ left: `${share(times[place])}%`, background: colourOf(row.label ?? row.regions?.[0]?.label ?? "") }}
                    aria-label={`${brief(learned(row))}: ${says(answerOf(row))}`} title={`${brief(learned(row))}: ${says(answerOf(row))}`}
                    onClick={() => { setChosen(row.opinion_id); document.getElementById(`said-${row.opinion_id}`)?.scrollIntoView({ block: "nearest" }); }} />
                ))}
              </span>
            </div>
          );
        })}
        <div class="lane ends"><span class="who" /><span class={until > from ? "rail bare" : "rail bare one"}><span>{brief(learned(said[times.indexOf(from)])).slice(0, 16)}</span>
          {until > from && <span>{brief(learned(said[times.indexOf(until)])).slice(0, 16)}</span>}</span></div>
      </div>
      <ol class="timeline">
        {said.map((row) => {
          const status = standing(row, said, day), by = said.find((other) => other.opinion_id === row.by);
          return (
            <li key={row.opinion_id} id={`said-${row.opinion_id}`} class={`${status.replaceAll(" ", "-")}${chosen === row.opinion_id ? " chosen" : ""}`}>
              <time>{brief(row.event_time ?? row.ingest_time)}</time>{" "}
              <b>{row.actor_id}</b> on {row.question_id}: <span class="class"><i style={{ background: colourOf(row.label ?? row.regions?.[0]?.label ?? "") }} />{says(answerOf(row))}</span>{" "}
              <span class="quiet">{status}
                {by && row.status !== "retracts" && status === row.status ? `, by ${by.actor_id} on ${brief(learned(by))}: ${says(answerOf(by))}` : ""}
                {row.reason ? `, because ${row.reason}` : ""}
                {brief(row.ingest_time) !== brief(row.event_time ?? row.ingest_time) ? `, learned ${brief(row.ingest_time)}` : ""}
                {row.brought?.source ? `, from ${row.brought.source}` : ""}</span>{" "}
              {row.regions && row.status !== "current" && row.status !== "retracts" && (
                <button class="small" onClick={() => { change({ then: row.opinion_id, sides: null, with: null }, true); document.getElementById("main")?.scrollTo({ top: 0 }); }}>beside what holds now</button>
              )}
            </li>
          );
        })}
      </ol>
    </>
  );
}
