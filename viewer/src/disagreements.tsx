// What people and models disagree about, the most divided first.

import { useMemo, useState } from "preact/hooks";
import { to } from "./address";
import { Grid } from "./grid";
import { asked, listed } from "./listed";
import type { About } from "./model";
import { usePage, waiting } from "./pages";
import type { Source } from "./source";
import { nothingHidden } from "./stage";

interface Question { question_id: string; title: string; kind: string; subjects: number }

export function Disagreements({ source, about, args }: { source: Source; about: About; args: URLSearchParams }) {
  const question = args.get("question") ?? "";
  const found = usePage(source, "disagreements", { question });
  const [error, setError] = useState<Error | null>(null);
  const page = found && !(found instanceof Error) ? found : null;
  const shown = useMemo(() => (page?.rows ? listed(source, page.rows) : source), [page]);
  const hidden = useMemo(() => ({ ...nothingHidden, questions: new Set(about.questions.map((each) => each.question_id).filter((id) => id !== page?.question)) }), [page]);
  if (!page) return waiting(found);
  const kind = (page.questions as Question[]).find((each) => each.question_id === page.question)?.kind;
  return (
    <main class="explore" id="main">
      <h1>Disagreements</h1>
      <p class="line" role="group" aria-label="questions">
        {(page.questions as Question[]).map((each) => (
          <a key={each.question_id} class="button small" href={to("disagreements", { question: each.question_id })} aria-current={each.question_id === page.question ? "true" : undefined}>
            {each.title} <span class="quiet">{each.subjects.toLocaleString("en")}</span></a>
        ))}
        {page.sql && <a href={to("grid", { sql: page.sql })}>as a question in SQL</a>}
      </p>
      {page.questions.length === 0 && <p class="quiet">nobody differs from anybody here</p>}
      {kind === "regions" && <p class="quiet">each with how far those agree who drew there (mean F1 of pairs, at an overlap of 0.5), and how many each drew</p>}
      {(page.notes as string[]).map((note) => <p key={note} class="quiet" role="note">{note}</p>)}
      {error && <p class="error" role="alert">{error.message}</p>}
      {page.question && (
        <div class="columns">
          <Grid key={page.question} source={shown} query={asked(page.sql ?? "")} hidden={hidden} onTotal={() => undefined} onError={setError} onHeard={() => undefined}
            href={(row, place) => to("entity", page.sql
              ? { sql: page.sql, id: row.entity_id, at: String(place) }
              : { id: row.entity_id, sides: (row.votes as [string, number][]).slice(0, 2).map(([actor]) => actor).join("|"), no_questions: JSON.stringify([...hidden.questions]) })} />
        </div>
      )}
    </main>
  );
}
