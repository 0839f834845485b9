// What is drawn and what is not: by actor, question, class and score. All of it stands in the address.

import { colourOf } from "./colours";
import type { Answer } from "./model";
import type { Hidden } from "./stage";

export type Change = (changes: Record<string, string | null>, replace?: boolean) => void;

export function hiddenOf(args: URLSearchParams): Hidden {
  const set = (name: string) => new Set<string>(args.getAll(name).flatMap((text) => JSON.parse(text || "[]") as string[]));
  try {
    return { actors: set("no_actors"), questions: set("no_questions"), classes: set("no_classes"), least: Number(args.get("least") ?? 0) || 0 };
  } catch {
    return { actors: new Set(), questions: new Set(), classes: new Set(), least: 0 };
  }
}

export interface Heard { actors: string[]; questions: string[]; classes: string[]; isScored: boolean }
export const nobody: Heard = { actors: [], questions: [], classes: [], isScored: false };

/** Who said something, to which question, with which classes. */
export function heardOf(answers: Answer[], before: Heard = nobody): Heard {
  const merged = (known: string[], found: string[]) => [...new Set([...known, ...found])].sort();
  const regions = answers.flatMap((answer) => answer.regions ?? []);
  return {
    actors: merged(before.actors, answers.map((answer) => answer.actor_id)),
    questions: merged(before.questions, answers.map((answer) => answer.question_id).filter(Boolean)),
    classes: merged(before.classes, regions.map((region) => region.label ?? "")),
    isScored: before.isScored || regions.some((region) => region.score != null),
  };
}

type Key = "no_actors" | "no_questions" | "no_classes";

export function Toggles({ heard, hidden, change }: { heard: Heard; hidden: Hidden; change: Change }) {
  const kinds: [string, Key, string[], Set<string>][] = [
    ["actors", "no_actors", heard.actors, hidden.actors], ["questions", "no_questions", heard.questions, hidden.questions],
    ["classes", "no_classes", heard.classes, hidden.classes],
  ];
  const flip = (key: Key, set: Set<string>, name: string) => {
    const next = new Set(set);
    next.has(name) ? next.delete(name) : next.add(name);
    change({ [key]: next.size ? JSON.stringify([...next]) : null }, true);
  };
  if (!heard.actors.length) return null;
  return (
    <div class="line toggles">
      {kinds.map(([name, key, known, set]) => known.length > 0 && (
        <span key={key} class="kind" role="group" aria-label={name}><span class="quiet">{name}</span>
          {known.slice(0, MOST).map((each) => (
            <button key={each} class="small" aria-pressed={!set.has(each)} onClick={() => flip(key, set, each)}>
              {key === "no_classes" && <i style={{ background: colourOf(each) }} />}{each || "(no label)"}
            </button>
          ))}
          {known.length > MOST && <span class="quiet">and {known.length - MOST} more</span>}
        </span>
      ))}
      {heard.isScored && (
        <label class="kind">score at least <output>{hidden.least.toFixed(2)}</output> <input type="range" min="0" max="1" step="0.05" value={hidden.least}
          onChange={(event) => change({ least: Number(event.currentTarget.value) ? event.currentTarget.value : null }, true)} /></label>
      )}
    </div>
  );
}

const MOST = 24; // of one kind
