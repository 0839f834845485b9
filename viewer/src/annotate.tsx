// The person who looks answers: a label, a box, a reason. Keys 1 to 9 choose a label, y accepts what stands there.

import { useEffect, useRef, useState } from "preact/hooks";
import { type About, type Answer, type Preview, says } from "./model";
import type { Source } from "./source";
import type { Box } from "./stage";

export interface Draft { box: Box; label: string }

interface Props {
  source: Source; about: About; id: string; preview: Preview; answers: Answer[]; heard: boolean; draft: Draft | null; drawing: string | null;
  onDraw: (label: string | null) => void; onSaid: () => void;
}

const LABELLED = ["label", "labels"];

export function Annotate({ source, about, id, preview, answers, heard, draft, drawing, onDraw, onSaid }: Props) {
  const [asked, setAsked] = useState(about.questions[0]?.question_id ?? "");
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
    say({
      regions: [{ kind: "box", label: draft.label, ...draft.box }], frame_w: preview.width, frame_h: preview.height,
      beside: mine?.regions ? mine.opinion_id : undefined,
    });
  }, [draft, answers, heard]);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if ((event.target as Element).closest("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      const label = question?.labels[Number(event.key) - 1];
      if (label) choose(label.id);
      if (event.key === "y") accept();
      if (event.key === "Escape") onDraw(null);
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
      </p>
      <p class="line">
        {question?.labels.map((label, place) => (
          <button key={label.id} aria-pressed={drawing === label.id || mine?.label === label.id} onClick={() => choose(label.id)}>
            {label.name || label.id}{place < 9 ? ` (${place + 1})` : ""}
          </button>
        ))}
      </p>
      {drawing && <p class="quiet">draw a box of {drawing} on the picture; Escape ends</p>}
      {told && <p class={told.bad ? "error" : "quiet"} role={told.bad ? "alert" : "status"}>{told.text}</p>}
    </section>
  );
}
