import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { go, to, useAddress } from "./address";
import { learnColours } from "./colours";
import { Disagreements } from "./disagreements";
import { Entity } from "./entity";
import { Explore } from "./explore";
import { Keys } from "./keys";
import type { About } from "./model";
import { Dataset, Datasets, Diff, Evaluation, Evaluations, Quality, Rejected } from "./pages";
import { type Exported, Files, Server, type Source } from "./source";
import "./style.css";

declare global { interface Window { PETREL?: Exported } }

const source: Source = window.PETREL ? new Files(window.PETREL) : new Server();

const PAGES: Record<string, (props: any) => preact.ComponentChildren> = {
  grid: Explore, entity: Entity, datasets: Datasets, dataset: Dataset, evaluations: Evaluations, evaluation: Evaluation,
  diff: Diff, disagreements: Disagreements, rejected: Rejected, quality: Quality,
};

function App() {
  const [address, change] = useAddress();
  const [about, setAbout] = useState<About | Error | null>(null);
  useEffect(() => { source.about().then((found) => { learnColours(found.questions); setAbout(found); }, setAbout); }, []);
  useEffect(() => { document.title = `Petrel: ${address.page}`; }, [address.page]);
  if (about instanceof Error) return <main><p class="error" role="alert">{about.message}</p></main>;
  if (!about) return <main><p class="quiet">…</p></main>;
  const Shown = PAGES[address.page];
  const links: [string, string][] = about.is_static ? [["grid", to("grid")]] : [
    ["grid", to("grid")], ["disagreements", to("disagreements")], ["datasets", to("datasets")],
    ["evaluations", to("evaluations")], ["rejected", to("rejected")], ["quality", to("quality")],
  ];
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.querySelector<HTMLElement>("a, button, textarea, [tabindex='0']")?.focus(); }}>to the page</a>
      <header>
        <b>Petrel</b>
        <nav aria-label="pages">{links.map(([name, href]) => <a key={name} href={href} aria-current={name === address.page ? "page" : undefined}>{name}</a>)}</nav>
        <span class="quiet lake">{about.lake}{about.annotate ? `, answering as ${about.annotate}` : ""}</span>
        <Keys />
      </header>
      {Shown ? <Shown source={source} about={about} args={address.args} change={change} /> : <main><p class="error">no page {address.page}</p></main>}
    </>
  );
}

// In a frame of a notebook a link to #/page would lead to the notebook's own address.
addEventListener("click", (event) => {
  const link = (event.target as Element).closest?.("a[href^='#']");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href")!);
});

render(<App />, document.getElementById("app")!);
