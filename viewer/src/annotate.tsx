// The person who looks answers: a label, a box, a reason. Keys 1 to 9 choose a label, y accepts what stands there.

import { useEffect, useRef, useState } from "preact/hooks";
import { isTyped } from "./keys";
import { type About, type Answer, type Preview, type Region, says } from "./model";
import type { Source } from "./source";
import type { Box } from "./stage";

/** A box that was drawn; `instead` of one of the same answer, which goes; without a box that one only goes. */
export interface Draft { box: Box | null; label: string; instead?: Region | null }

interface Props {
  source: Source; about: About; id: string; preview: Preview; answers: Answer[]; heard: boolean; draft: Draft | null; drawing: string | null;
  changing: Region | null; onChange: (region: Region | null) => void; onDraw: (label: string | null) => void; onSaid: () => void;
}

const LABELLED = ["label", "labels"];

export function Annotate({ source, about, id, preview, answers, heard, draft, drawing, changing, onChange, onDraw, onSaid }: Props) {
  const [chosen, setAsked] = useState("");
  // What others answered about this one is most likely what is asked about it.
  const asked = chosen || (answers.find((answer) => answer.question_id)?.question_id ?? about.questions[0]?.question_id ?? "");
  const [why, setWhy] = useState("");
  const [told, setTold] = useState<{ text: string; bad: boolean } | null>(null);
  const question = about.questions.find((each) => each.question_id === asked);
  const mine = answers.find((answer) => answer.question_id === asked && answer.actor_id === about.annotate);
  const other = answers.find((answer) => answer.question_id === asked && answer.actor_id !== about.annotate && answer.op === "assert");

  // From an answer until it is seen here, a box would not know of those before it, and take their place.
  const busy = useRef(false);
  useEffect(() => { busy.current = false; }, [answers, heard]);
  const say = async (value: object) => {
    busy.current = true;
    setTold(null);
    try {
      await source.page("annotate", { entity: id, question: asked, why: why || undefined, ...value });
      setWhy("");
      setTold({ text: `recorded as ${about.annotate}`, bad: false });
      onSaid();
    } catch (error) {
      busy.current = false;
      setTold({ text: (error as Error).message, bad: true });
    }
  };
  const choose = (label: string) => {
    if (!question) return;
    if (LABELLED.includes(question.answer_kind)) say(question.answer_kind === "label" ? { label } : { labels: [label] });
    else onDraw(drawing === label ? null : label);
  };
  // The server takes the value over: here not all of it is known, as of masks, tracks and long answers.
  const accept = () => { if (other) say({ accept: other.opinion_id }); };
  const sent = useRef<Draft | null>(null);
  useEffect(() => {
    if (!draft || sent.current === draft || busy.current || !heard) return; // it waits, and is sent once
    sent.current = draft;
    const frame = { frame_w: preview.width, frame_h: preview.height };
    if (draft.instead) {
      // The whole answer anew, as nothing of one is ever changed.
      const regions = (mine?.regions ?? []).map((region) => (region !== draft.instead ? given(region) : draft.box ? { ...given(region), ...draft.box } : null));
      say({ regions: regions.filter(Boolean), ...frame });
    } else say({ regions: [{ kind: "box", label: draft.label, ...draft.box }], ...frame, beside: mine?.regions ? mine.opinion_id : undefined });
  }, [draft, answers, heard]);
  const boxes = (mine?.regions ?? []).filter((region) => region.kind === "box" && region.x != null);
  const change = () => {
    const kept = mine?.regions?.find((region) => !given(region));
    if (!boxes.length) setTold({ text: "no box of yours stands here", bad: true });
    else if (kept || mine!.left_out) setTold({ text: `your answer holds ${kept ? `a ${kept.kind ?? "region"}` : "more regions"} that cannot be sent again from here: a box of it is not changed`, bad: true });
    else { onDraw(null); onChange(boxes[(boxes.indexOf(changing!) + 1) % boxes.length]); }
  };
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (isTyped(event) || event.repeat) return;
      const label = question?.labels[Number(event.key) - 1];
      if (label) choose(label.id);
      if (event.key === "y") accept();
      if (event.key === "e") change();
      if (event.key === "Escape") { onDraw(null); onChange(null); }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });

  if (!about.questions.length) return <p class="quiet">this lake asks no question yet</p>;
  return (
    <section class="annotate" aria-label="answer">
      <p class="line">
        <label>question <select value={asked} onChange={(event) => setAsked(event.currentTarget.value)}>
          {about.questions.map((each) => <option key={each.question_id} value={each.question_id}>{each.title || each.question_id}</option>)}
        </select></label>
        <label>why <input value={why} onInput={(event) => setWhy(event.currentTarget.value)} /></label>
        {other && <button onClick={accept} title={`${other.actor_id}: ${says(other)}`}>accept (y)</button>}
        <button onClick={() => say({ op: "abstain" })}>cannot tell</button>
        {boxes.length > 0 && <button aria-pressed={changing !== null} onClick={change}>change a box (e)</button>}
      </p>
      <p class="line">
        {question?.labels.map((label, place) => (
          <button key={label.id} aria-pressed={drawing === label.id || mine?.label === label.id} onClick={() => choose(label.id)}>
            {label.name || label.id}{place < 9 ? ` (${place + 1})` : ""}
          </button>
        ))}
      </p>
      {drawing && <p class="quiet">draw a box of {drawing} on the picture, or press b for one that arrows move and Shift with arrows sizes; Enter records it, Escape ends</p>}
      {changing && <p class="quiet">arrows move the box, Shift with arrows sizes it, Enter records it, Delete takes it away; or draw it anew. Escape leaves it as it was</p>}
      {told && <p class={told.bad ? "error" : "quiet"} role={told.bad ? "alert" : "status"}>{told.text}</p>}
    </section>
  );
}

/** A region as an answer gives it; null: not all of it is known here. */
function given(region: Region): object | null {
  const { kind, label, x, y, w, h, angle, rings, closed, keypoints, seconds, characters } = region;
  if (region.mask || region.frames || region.track_id) return null;
  const base = { kind, label, ...(angle ? { angle } : {}) };
  if (rings) return { ...base, points: rings.flat().map(([px, py]) => ({ x: px, y: py })), part_sizes: rings.length > 1 ? rings.map((ring) => ring.length) : undefined, closed };
  if (keypoints) return null;
  if (seconds) return { ...base, t_start: seconds[0], t_end: seconds[1] };
  if (characters) return { ...base, char_start: characters[0], char_end: characters[1] };
  return x != null && y != null && w != null && h != null ? { ...base, x, y, w, h } : null;
}
