// Everything known of one entity.

import { useEffect, useMemo, useState } from "preact/hooks";
import { go, to } from "./address";
import { Annotate, type Draft } from "./annotate";
import { neighbour } from "./explore";
import { useSeen } from "./grid";
import { isTyped } from "./keys";
import { Medium } from "./medium";
import { type About, type Answer, type Region, type Row, shortId } from "./model";
import type { Source } from "./source";
import type { Hidden, View } from "./stage";
import { drawnThen, Story } from "./story";
import { type Change, heardOf, hiddenOf, Toggles } from "./toggles";

export function Entity({ source, about, args, change }: { source: Source; about: About; args: URLSearchParams; change: Change }) {
  const id = args.get("id") ?? "";
  const seen = useSeen(source, id);
  const [heard, setHeard] = useState<{ id: string; answers: Answer[] }>({ id: "", answers: [] });
  const [deaf, setDeaf] = useState<Error | null>(null);
  const [story, setStory] = useState<Row | Error | null>(null);
  const [view, setView] = useState<View | null>(null);
  const [draft, setDraft] = useState<Draft | null>(null);
  const [drawing, setDrawing] = useState<string | null>(null);
  const [changing, setChanging] = useState<Region | null>(null);
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
  useEffect(() => { setView(null); setDraft(null); setDrawing(null); setChanging(null); }, [id]);
  const [lost, setLost] = useState<Error | null>(null);
  useEffect(() => setLost(null), [id]);
  const step = (by: number) => { neighbour(source, args, by).catch(setLost); };
  const home = to("grid", Object.fromEntries([...args].filter(([name]) => !OF_ONE.includes(name))));
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (isTyped(event) || (event.target as Element).closest?.("video, audio")) return; // with Alt an arrow goes back
      if (event.key === "ArrowRight" || event.key === "j") step(1);
      if (event.key === "ArrowLeft" || event.key === "k") step(-1);
      if (event.key === "g") go(home);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [args.toString()]);

  // Never those of the one before: they would be drawn upon, and accepted for, another.
  const answers = heard.id === id ? heard.answers : NONE;
  const actors = [...new Set(answers.map((answer) => answer.actor_id))];
  const sides = (args.get("sides") ?? "").split("|").filter((name) => actors.includes(name));
  const other = args.get("with") ?? "";
  const rate = rateOf(story);
  const past = story && !(story instanceof Error) ? (story.said as Row[]).find((row) => row.opinion_id === args.get("then") && row.regions) : undefined;
  const then = useMemo(() => (past ? [drawnThen(past)] : NONE), [past]);
  const box = (drawn: Draft["box"]) => setDraft({ box: drawn, label: drawing ?? changing?.label ?? "", instead: changing });
  return (
    <main class="entity" id="main">
      <h1 class="hidden">sample {shortId(id)}</h1>
      <p class="line">
        <a href={home}>back to the grid</a>
        {args.has("at") && <>
          <button class="small" onClick={() => step(-1)}>previous</button>
          <button class="small" onClick={() => step(1)}>next</button>
        </>}
        {!about.is_static && about.models.map((model) => <a key={model} href={to("grid", { sql: likeness(id, model) })}>like this, by {model}</a>)}
        <span class="quiet">{id}</span>
      </p>
      {lost && <p class="error" role="alert">the next row cannot be found: {lost.message}</p>}
      {deaf && <p class="error" role="alert">what is said of it cannot be shown: {deaf.message}</p>}
      <Toggles heard={heardOf(answers)} hidden={hidden} change={change} />
      <div class="line beside">
        <Sides actors={actors} sides={sides} change={change} />
        {!about.is_static && <Relatives source={source} id={id} other={other} change={change} />}
      </div>
      {undrawn([...answers, ...then]).map((told) => <p key={told} class="quiet" role="note">{told}</p>)}
      {seen instanceof Error ? <p class="error" role="alert">{seen.message}</p> : seen && (
        sides.length === 2
          ? <div class="sides">{sides.map((name) => (
              <figure key={name}><figcaption>{name}</figcaption>
                <Medium source={source} id={id} preview={seen.preview} url={seen.url} answers={answers.filter((answer) => answer.actor_id === name)}
                  hidden={hidden} view={view} onView={setView} rate={rate} />
              </figure>))}
            </div>
          : past
            ? <div class="sides">
                <figure><figcaption>{past.actor_id} on {String(past.event_time ?? past.ingest_time).slice(0, 19).replace("T", " ")} <button class="small" onClick={() => change({ then: null }, true)}>only what holds now</button></figcaption>
                  <Medium source={source} id={id} preview={seen.preview} url={seen.url} answers={then} hidden={hidden} view={view} onView={setView} rate={rate} /></figure>
                <figure><figcaption>{past.actor_id} now</figcaption>
                  <Medium source={source} id={id} preview={seen.preview} url={seen.url} answers={answers.filter((answer) => answer.actor_id === past.actor_id && answer.question_id === past.question_id)}
                    hidden={hidden} view={view} onView={setView} rate={rate} /></figure>
              </div>
          : other
            ? <div class="sides">
                <figure><figcaption>this one</figcaption>
                  <Medium source={source} id={id} preview={seen.preview} url={seen.url} answers={answers} hidden={hidden} view={view} onView={setView} rate={rate} /></figure>
                <Other key={other} source={source} id={other} hidden={hidden} />
              </div>
            : <Medium source={source} id={id} preview={seen.preview} url={seen.url} answers={answers} hidden={hidden} view={view} onView={setView} rate={rate}
                drawing={drawing} onBox={box} changing={changing} onDrop={() => setChanging(null)}
                onRemove={() => changing && setDraft({ box: null, label: "", instead: changing })} />
      )}
      {about.annotate && seen && !(seen instanceof Error) && (
        <Annotate source={source} about={about} id={id} preview={seen.preview} answers={answers} heard={heard.id === id && !deaf} draft={draft} drawing={drawing}
          changing={changing} onChange={setChanging} onDraw={setDrawing} onSaid={() => { setDraft(null); setChanging(null); setWritten((count) => count + 1); }} />
      )}
      {story instanceof Error ? <p class="error" role="alert">{story.message}</p> : story && <Story story={story} day={args.get("day") ?? ""} change={change} />}
    </main>
  );
}

const NONE: Answer[] = [];
/** What of an address is about one sample alone. */
const OF_ONE = ["id", "at", "sides", "with", "day", "then"];

/** Frames a second of a video, where they were measured; 0: not known. */
function rateOf(story: Row | Error | null): number {
  if (!story || story instanceof Error) return 0;
  const measured = (story.shown.dimensions as Row[]).find((row) => row.dimension === "video_frame_rate");
  return Number(measured?.value ?? 0) || 0;
}

/** What is said and yet not drawn, which a person must not take for "nothing there". */
function undrawn(answers: Answer[]): string[] {
  const told = answers.filter((answer) => answer.left_out).map((answer) => `${answer.left_out!.toLocaleString("en")} more regions of ${answer.actor_id} are not drawn`);
  for (const answer of answers)
    for (const { mask } of answer.regions ?? [])
      if (mask?.problem) told.push(`a mask of ${answer.actor_id} is not drawn: ${mask.problem}`);
  return told;
}

const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
const likeness = (id: string, model: string) => `select other.entity_id, list_cosine_similarity(other.vector, mine.vector) as likeness
from silver.embeddings other join silver.embeddings mine on mine.model = other.model
where mine.entity_id = ${text(id)} and mine.model = ${text(model)}
order by likeness desc limit 500`;

// What it was made of, what was made of it, and the other streams of the same session.
const relatives = (id: string) => `with mine as (select * from silver.entities where entity_id = ${text(id)})
select other.entity_id, case when other.entity_id = mine.parent_id then 'made of' when other.parent_id = mine.entity_id then other.operation
    when other.parent_id = mine.parent_id then 'of the same: ' || coalesce(other.operation, '')
    else array_to_string(map_values(mine.group_keys), ', ') end as relation
from silver.entities other, mine where other.entity_id <> mine.entity_id and (other.entity_id = mine.parent_id or other.parent_id = mine.entity_id
    or other.parent_id = mine.parent_id or (cardinality(mine.group_keys) > 0 and other.group_keys = mine.group_keys))
order by other.entity_id = mine.parent_id desc nulls last, relation, other.captured_at, other.entity_id limit 60`;

function Sides({ actors, sides, change }: { actors: string[]; sides: string[]; change: Change }) {
  if (actors.length < 2) return null;
  return (
    <>
      <button class="small" aria-pressed={sides.length === 2}
        onClick={() => change({ sides: sides.length === 2 ? null : actors.slice(0, 2).join("|"), with: null }, true)}>side by side</button>
      {sides.length === 2 && sides.map((name, place) => (
        <select key={place} aria-label={`side ${place + 1}`} value={name}
          onChange={(event) => change({ sides: sides.map((each, at) => (at === place ? event.currentTarget.value : each)).join("|") }, true)}>
          {actors.map((each) => <option key={each}>{each}</option>)}
        </select>
      ))}
    </>
  );
}

function Relatives({ source, id, other, change }: { source: Source; id: string; other: string; change: Change }) {
  const [found, set] = useState<{ id: string; rows: Row[] }>({ id: "", rows: [] });
  useEffect(() => {
    let here = true;
    const query = { sql: relatives(id), order: "", column: "", descending: false, filters: {} };
    source.rows(query, 0, 60).then((page) => here && set({ id, rows: page.rows }), () => undefined); // a sample that is no entity has none
    return () => { here = false; };
  }, [id]);
  const rows = found.id === id ? found.rows : [];
  if (!rows.length) return null;
  return (
    <label>beside it{" "}
      <select value={other} onChange={(event) => change({ with: event.currentTarget.value || null, sides: null }, true)}>
        <option value="">nothing</option>
        {rows.map((row) => <option key={row.entity_id} value={row.entity_id}>{row.relation}: {shortId(row.entity_id)}</option>)}
      </select></label>
  );
}

/** Another entity, beside: its parent, what was made of it, another stream. */
function Other({ source, id, hidden }: { source: Source; id: string; hidden: Hidden }) {
  const seen = useSeen(source, id);
  const [answers, setAnswers] = useState<Answer[]>(NONE);
  const [view, setView] = useState<View | null>(null);
  const [deaf, setDeaf] = useState<Error | null>(null);
  useEffect(() => {
    let here = true;
    source.answers([id]).then((found) => here && setAnswers(found[id] ?? NONE), (error) => here && setDeaf(error));
    return () => { here = false; };
  }, [id]);
  return (
    <figure><figcaption><a href={to("entity", { id })}>{shortId(id)}</a></figcaption>
      {deaf && <p class="error" role="alert">what is said of it cannot be shown: {deaf.message}</p>}
      {seen instanceof Error ? <p class="error" role="alert">{seen.message}</p>
        : seen && <Medium source={source} id={id} preview={seen.preview} url={seen.url} answers={answers} hidden={hidden} view={view} onView={setView} />}
    </figure>
  );
}
