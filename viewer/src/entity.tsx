// Everything known of one entity.

import { useEffect, useMemo, useState } from "preact/hooks";
import { to } from "./address";
import { Annotate, type Draft } from "./annotate";
import { colourOf } from "./colours";
import { hiddenOf, neighbour } from "./explore";
import { useSeen } from "./grid";
import { Film, Sound, Words } from "./media";
import { type About, type Answer, type Preview, type Row, says, shortId } from "./model";
import type { Source } from "./source";
import { type Hidden, Stage, type View } from "./stage";
import { Table } from "./table";

type Change = (changes: Record<string, string | null>, replace?: boolean) => void;

export function Entity({ source, about, args, change }: { source: Source; about: About; args: URLSearchParams; change: Change }) {
  const id = args.get("id") ?? "";
  const seen = useSeen(source, id);
  const [heard, setHeard] = useState<{ id: string; answers: Answer[] }>({ id: "", answers: [] });
  const [deaf, setDeaf] = useState<Error | null>(null);
  const [story, setStory] = useState<Row | Error | null>(null);
  const [view, setView] = useState<View | null>(null);
  const [draft, setDraft] = useState<Draft | null>(null);
  const [drawing, setDrawing] = useState<string | null>(null);
  const [written, setWritten] = useState(0);
  const hidden = useMemo(() => hiddenOf(args), [args.toString()]);

  useEffect(() => {
    let here = true;
    setStory(null);
    setDeaf(null);
    source.answers([id]).then((found) => here && setHeard({ id, answers: found[id] ?? [] }), (error) => here && setDeaf(error));
    source.page("entity", { id }).then((found) => here && setStory(found), (error) => here && setStory(error));
    return () => { here = false; };
  }, [id, written]);
  useEffect(() => { setView(null); setDraft(null); setDrawing(null); }, [id]);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if ((event.target as Element).closest("input, textarea, select, video, audio")) return;
      if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own: Alt and an arrow goes back
      if (event.key === "ArrowRight" || event.key === "j") neighbour(source, args, 1);
      if (event.key === "ArrowLeft" || event.key === "k") neighbour(source, args, -1);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [args.toString()]);

  // Never those of the one before: they would be drawn upon, and accepted for, another.
  const answers = heard.id === id ? heard.answers : NONE;
  const actors = [...new Set(answers.map((answer) => answer.actor_id))];
  const sides = (args.get("sides") ?? "").split("|").filter((name) => actors.includes(name));
  const home = Object.fromEntries([...args].filter(([name]) => name !== "id" && name !== "at" && name !== "sides"));
  return (
    <main class="entity">
      <p class="line">
        <a href={to("grid", home)}>back to the grid</a>
        {args.has("at") && <>
          <button class="small" onClick={() => neighbour(source, args, -1)}>previous</button>
          <button class="small" onClick={() => neighbour(source, args, 1)}>next</button>
        </>}
        {!about.is_static && about.models.map((model) => <a key={model} href={to("grid", { sql: likeness(id, model) })}>like this, by {model}</a>)}
        <span class="quiet">{id}</span>
      </p>
      {deaf && <p class="error" role="alert">what is said of it cannot be shown: {deaf.message}</p>}
      <Switches answers={answers} hidden={hidden} sides={sides} change={change} />
      {undrawn(answers).map((told) => <p key={told} class="quiet" role="note">{told}</p>)}
      {seen instanceof Error ? <p class="error" role="alert">{seen.message}</p> : seen && (
        sides.length === 2
          ? <div class="sides">{sides.map((name) => (
              <figure key={name}><figcaption>{name}</figcaption>
                <Medium source={source} id={id} preview={seen.preview} url={seen.url} answers={answers.filter((answer) => answer.actor_id === name)}
                  hidden={hidden} view={view} onView={setView} />
              </figure>))}
            </div>
          : <Medium source={source} id={id} preview={seen.preview} url={seen.url} answers={answers} hidden={hidden} view={view} onView={setView}
              drawing={drawing} onBox={(box) => setDraft({ box, label: drawing! })} />
      )}
      {about.annotate && seen && !(seen instanceof Error) && (
        <Annotate source={source} about={about} id={id} preview={seen.preview} answers={answers} heard={heard.id === id && !deaf} draft={draft} drawing={drawing}
          onDraw={setDrawing} onSaid={() => { setDraft(null); setWritten((count) => count + 1); }} />
      )}
      {story instanceof Error ? <p class="error" role="alert">{story.message}</p> : story && <Story story={story} />}
    </main>
  );
}

const NONE: Answer[] = [];

/** What is said and cannot be seen: nothing is left out without a word. */
function undrawn(answers: Answer[]): string[] {
  const left = answers.filter((answer) => answer.left_out)
    .map((answer) => `${answer.left_out!.toLocaleString("en")} more regions of ${answer.actor_id} are not drawn`);
  const masks = answers.flatMap((answer) => (answer.regions ?? []).filter((region) => region.mask?.problem)
    .map((region) => `a mask of ${answer.actor_id} is not drawn: ${region.mask!.problem}`));
  return [...new Set([...left, ...masks])];
}

const text = (value: string) => `'${value.replaceAll("'", "''")}'`;

/** What is like an entity, the likest first: exact, by the cosine of its embedding. */
const likeness = (id: string, model: string) => `select other.entity_id, list_cosine_similarity(other.vector, mine.vector) as likeness
from silver.embeddings other join silver.embeddings mine on mine.model = other.model
where mine.entity_id = ${text(id)} and mine.model = ${text(model)}
order by likeness desc limit 500`;

interface MediumProps {
  source: Source; id: string; preview: Preview; url: string; answers: Answer[]; hidden: Hidden; view: View | null;
  onView: (view: View) => void; drawing?: string | null; onBox?: (box: { x: number; y: number; w: number; h: number }) => void;
}

function Medium(props: MediumProps) {
  const { source, id, preview, url, answers, hidden } = props;
  const [text, setText] = useState(preview.text);
  useEffect(() => {
    setText(preview.text);
    const address = source.media(id);
    if (preview.kind === "text" && address && preview.size_bytes < 4_000_000)
      fetch(address).then((answer) => answer.text()).then(setText, () => undefined);
  }, [id]);
  if (preview.kind === "image")
    return <div class="large"><Stage {...props} url={source.media(id) || url} labels title={`picture ${shortId(id)}`} /></div>;
  if (preview.kind === "audio") return <Sound {...props} />;
  if (preview.kind === "video" && source.spectrogram(id) !== null) return <Film {...props} />;
  if (preview.kind === "text") return <Words text={text} answers={answers} hidden={hidden} />;
  if (url) return <div class="large"><img src={url} alt={`${preview.kind} ${shortId(id)}`} class="pixels" /></div>;
  return <p class="nothing">{preview.problem || `${preview.media_type}, ${preview.size_bytes.toLocaleString("en")} bytes`} {props.url === "" && source.media(id) && <a href={source.media(id)} download={id}>download</a>}</p>;
}

function Switches({ answers, hidden, sides, change }: { answers: Answer[]; hidden: Hidden; sides: string[]; change: Change }) {
  const actors = [...new Set(answers.map((answer) => answer.actor_id))].sort();
  const classes = [...new Set(answers.flatMap((answer) => (answer.regions ?? []).map((region) => region.label ?? "")))].sort();
  const flip = (key: string, set: Set<string>, name: string) => {
    const next = new Set(set);
    next.has(name) ? next.delete(name) : next.add(name);
    change({ [key]: next.size ? JSON.stringify([...next]) : null }, true);
  };
  if (!actors.length) return null;
  return (
    <div class="line toggles">
      {actors.map((name) => (
        <button key={name} class="small" aria-pressed={!hidden.actors.has(name)} onClick={() => flip("no_actors", hidden.actors, name)}>{name}</button>
      ))}
      {classes.map((name) => (
        <button key={name} class="small" aria-pressed={!hidden.classes.has(name)} onClick={() => flip("no_classes", hidden.classes, name)}>
          <i style={{ background: colourOf(name) }} />{name || "(no label)"}
        </button>
      ))}
      {actors.length > 1 && (
        <button class="small" aria-pressed={sides.length === 2}
          onClick={() => change({ sides: sides.length === 2 ? null : actors.slice(0, 2).join("|") }, true)}>side by side</button>
      )}
      {sides.length === 2 && sides.map((name, place) => (
        <select key={place} aria-label={`side ${place + 1}`} value={name}
          onChange={(event) => change({ sides: sides.map((each, at) => (at === place ? event.currentTarget.value : each)).join("|") }, true)}>
          {actors.map((each) => <option key={each}>{each}</option>)}
        </select>
      ))}
    </div>
  );
}

function Story({ story }: { story: Row }) {
  const { shown, said, beliefs, materialisations } = story;
  const [day, setDay] = useState("");
  const then = (beliefs as Row[]).filter((belief) => !day || belief.since.slice(0, 10) <= day);
  const last = new Map<string, Row>();
  for (const belief of then) last.set(`${belief.question} ${belief.policy}`, belief);
  return (
    <>
      <section><h2>What is believed</h2>
        <p class="line"><label>on <input type="date" value={day} onChange={(event) => setDay(event.currentTarget.value)} /></label>
          <span class="quiet">{day ? "as we knew it that day" : "now"}</span></p>
        <Table rows={[...last.values()].map((belief) => ({
          question: belief.question, policy: belief.policy, answer: belief.answer ? belief.answer.label ?? belief.answer.problem ?? "an answer" : "nobody was heard", since: belief.since,
        }))} />
      </section>
      <section><h2>What was said</h2>
        <ol class="timeline">
          {(said as Row[]).map((each) => (
            <li key={each.opinion_id} class={each.status}>
              <time>{(each.event_time ?? each.ingest_time ?? "").slice(0, 19).replace("T", " ")}</time>{" "}
              <b>{each.actor_id}</b> on {each.question_id}: <span class="class"><i style={{ background: colourOf(each.label ?? "") }} />{says({ ...each, regions: each.regions ?? undefined } as Answer)}</span>{" "}
              <span class="quiet">{each.status}{each.reason ? `, because ${each.reason}` : ""}</span>
            </li>
          ))}
        </ol>
      </section>
      <section><h2>Datasets</h2><Table rows={shown.datasets} link={(row) => to("dataset", { name: row.dataset_id })} /></section>
      {materialisations.length > 0 && <section><h2>Published</h2><Table rows={materialisations} /></section>}
      <section><h2>Measured</h2><Table rows={shown.dimensions} columns={["dimension", "value", "unit", "extractor", "extractor_version"]} /></section>
      <section><h2>Where it came from</h2>
        <Table rows={shown.landed} columns={["source", "path", "licence", "campaign", "status", "landed_at", "uri"]} />
        {shown.entity && <Table rows={Object.entries(shown.entity).filter(([, value]) => value != null).map(([name, value]) => ({ what: name, value }))} />}
      </section>
      {shown.rejected.length > 0 && <section><h2>Rejected</h2><Table rows={shown.rejected} /></section>}
    </>
  );
}
