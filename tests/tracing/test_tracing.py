"""trace and impact: against what plain Python knows of a small lake of two sources, three people and a model."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest

from jobs.cli import main as petrel
from lakehouse.care.erase import erase
from lakehouse.care.maintain import maintain
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.errors import ConfigError, VersionUnavailableError
from lakehouse.evaluation.evaluate import evaluate
from lakehouse.exporting.step import export
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.materialise.step import materialise
from lakehouse.query import fetch
from lakehouse.tracing.impact import impact_of
from lakehouse.tracing.trace import plain, trace_sample
from tests.making import Clock, add_dimension, add_opinions, entity_id, opinion, small_lake

MODEL = "model:cnn@1"
NAMES = [f"n{number:02}" for number in range(20)]
FIELD, WEB = NAMES[:12], NAMES[10:]
"""Two of them were delivered by both sources."""
LATE = NAMES[0]
"""Was seen on the web too, but only after everything was built."""


def made(lake, name, **more) -> str:
    return build(lake, parse_recipe({"name": name, "seed": 3} | more, where="zoo.toml")).details["dataset_id"]


def brought(lake, folder, source, names, licence) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / f"{name}.bin").write_text(name)
    (folder / "sites.csv").write_text("\n".join(["file,site", *(f"{name}.bin,{name[:2]}" for name in names)]))
    about = {"sidecar": "sites.csv", "sidecar_key": "file", "group_keys": {"site": "site"}}
    land(lake, Source(name=source, folder=str(folder), licence=licence, **about))
    entities(lake)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """`plain` asks nothing; `people` hears people; `adas` hears Ada alone; `bright` reads brightness."""
    top, clock = tmp_path_factory.mktemp("traced"), Clock()
    with small_lake(top / "lake", clock=clock) as lake:
        brought(lake, top / "field", "field", FIELD, "CC-BY-4.0")
        brought(lake, top / "web", "web", WEB, "")
        add_opinions(lake, [opinion(name, "human:ada", "cat" if place % 2 else "dog")
                            for place, name in enumerate(NAMES[:15])])  # fmt: skip
        add_opinions(lake, [opinion(name, "human:bo", "cat") for name in NAMES[10:]])
        add_opinions(lake, [opinion(name, MODEL, "cat") for name in NAMES])
        add_dimension(lake, "brightness", {name: float(place) for place, name in enumerate(NAMES[:8])})
        add_dimension(lake, "blur", dict.fromkeys(NAMES, 1.0))
        bright = "select entity_id from entities_wide where brightness > 3"
        ids = {
            "plain": made(lake, "plain"),
            "people": made(lake, "people", question="animal"),
            "adas": made(lake, "adas", question="animal", label={"actors": ["human:ada"]}),
            "bright": made(lake, "bright", select={"sql": bright}, split={"group": "site"}),
        }
        materialise(lake, "people")
        export(lake, "adas", format="manifest", to=top / "out")
        evaluate(lake, dataset_id=ids["people"], actor=MODEL, question="animal")
        clock.forward(days=1)
        brought(lake, top / "late", "web", [LATE], "")
        add_opinions(lake, [opinion(NAMES[19], "human:ada", "cat")])
        yield lake, ids


def members(lake, dataset_id) -> set[str]:
    text = "select entity_id from gold.dataset_members where dataset_id = $id"
    return {row["entity_id"] for row in fetch(lake, text, params={"id": dataset_id})}


def touched(found) -> dict[str, int]:
    return {row["name"]: row["touched"] for row in found.versions}


def among(lake, ids, names) -> dict[str, int]:
    wanted = {entity_id(name) for name in names}
    counts = {name: len(members(lake, each) & wanted) for name, each in ids.items()}
    return {name: count for name, count in counts.items() if count}


def test_an_actor_touches_the_members_about_which_he_was_heard_and_no_others(zoo):
    lake, ids = zoo
    said = {name: each for name, each in ids.items() if name in ("people", "adas")}
    ada = impact_of(lake, "actor", "human:ada")
    # What she said after the builds matters to none of them.
    assert touched(ada) == among(lake, said, NAMES[:15])
    assert touched(impact_of(lake, "actor", "human:bo")) == among(lake, {"people": ids["people"]}, NAMES[10:])
    (tie,) = [row for row in ada.versions if row["name"] == "people"]
    ties = "select count(*) as n from gold.dataset_exclusions where dataset_id = $id and reason = 'tie'"
    assert tie["left_out"] == fetch(lake, ties, params={"id": ids["people"]})[0]["n"] == 3
    assert sum(tie["splits"].values()) == tie["touched"]
    assert [row["dataset_id"] for row in ada.materialisations] == [ids["people"]]
    assert [(row["dataset_id"], row["format"]) for row in ada.exports] == [(ids["adas"], "manifest")]
    assert {(row["dataset_id"], row["touched"]) for row in ada.evaluations} == {
        (ids["people"], tie["splits"][row["split"]]) for row in ada.evaluations
    }  # fmt: skip


def test_a_model_that_nobody_heard_touches_no_dataset_but_the_evaluation_of_its_answers(zoo):
    lake, ids = zoo
    found = impact_of(lake, "actor", MODEL)
    assert found.versions == found.materialisations == found.exports == found.unknown == []
    assert {(row["dataset_id"], row["actor_id"]) for row in found.evaluations} == {(ids["people"], MODEL)}


def test_sources_and_licences_touch_what_they_had_brought_when_a_version_was_built(zoo):
    lake, ids = zoo
    assert touched(impact_of(lake, "source", "field")) == among(lake, ids, FIELD)
    # `late` came after the builds.
    assert touched(impact_of(lake, "source", "web")) == among(lake, ids, WEB)
    assert touched(impact_of(lake, "licence", "CC-BY-4.0")) == among(lake, ids, FIELD)
    assert touched(impact_of(lake, "licence", "")) == among(lake, ids, WEB)
    assert touched(impact_of(lake, "entity", entity_id(NAMES[5])[:12])) == among(lake, ids, [NAMES[5]])


def test_an_extractor_touches_what_reads_its_dimensions(zoo):
    lake, ids = zoo
    read = {"bright": ids["bright"]}
    assert touched(impact_of(lake, "extractor", "image_pixels")) == among(lake, read, NAMES[:8])
    assert touched(impact_of(lake, "extractor", "image_pixels@1")) == among(lake, read, NAMES[:8])
    assert impact_of(lake, "extractor", "image_pixels@2").versions == []


@pytest.mark.parametrize(("kind", "value", "said"), [
    ("actor", "human:adda", "did you mean `human:ada`"), ("source", "feild", "did you mean `field`"),
    ("extractor", "image_pixels@x", "NAME@VERSION"), ("licence", "MIT", "CC-BY-4.0"), ("entity", "zzz", "nothing"),
])  # fmt: skip
def test_what_the_lake_does_not_know_is_an_error_that_tells_what_it_does(zoo, kind, value, said):
    with pytest.raises(ConfigError, match=said):
        impact_of(zoo[0], kind, value)


def test_a_sample_is_traced_to_files_people_and_its_place(zoo):
    lake, ids = zoo
    name = next(each for each in NAMES[10:12] if entity_id(each) in members(lake, ids["people"]))
    found = trace_sample(lake, "people", f"{name}.bin")
    assert (found.dataset["dataset_id"], found.excluded) == (ids["people"], None)
    assert [(row["source"], row["licence"], row["path"]) for row in found.landed] == [
        ("field", "CC-BY-4.0", f"{name}.bin"), ("web", None, f"{name}.bin"),
    ]  # fmt: skip
    assert [(row["actor_id"], row["label"]) for row in found.opinions] == [("human:ada", "cat"), ("human:bo", "cat")]
    assert (found.member["label"], found.member["label_votes"]) == ("cat", {"cat": 2})
    assert "selected by the recipe's query" in found.member["selected_because"]
    assert found.split["first"] <= found.split["place"] < found.split["last"]
    assert found.split["name"] == found.member["split"]
    assert json.loads(json.dumps(plain(found), default=str))["member"]["label"] == "cat"


def test_what_was_left_out_is_traced_to_its_reason_and_what_came_later_is_marked(zoo):
    lake, _ = zoo
    tie = trace_sample(lake, "people", entity_id(NAMES[10])[:20])
    assert (tie.member, tie.split, tie.excluded["reason"]) == (None, None, "tie")
    late = trace_sample(lake, "plain", entity_id(LATE))
    assert [(row["source"], row["known_when_built"]) for row in late.landed] == [("field", True), ("web", False)]
    assert trace_sample(lake, "adas", entity_id(NAMES[19])).excluded["reason"] == "no_label"


def test_a_group_is_traced_to_the_entity_that_decides_its_place_and_measurements_to_their_extractor(zoo):
    lake, ids = zoo
    found = trace_sample(lake, ids["bright"][:8], entity_id(NAMES[4]))
    assert found.split["group_members"] == 4
    assert (found.split["group_id"], found.split["first"] <= found.split["place"] < found.split["last"]) == ("n0", True)
    assert [(row["dimension"], row["value"], row["extractor"], row["extractor_version"]) for row in found.measured] == [
        ("brightness", "4.0", "image_pixels", 1)
    ]
    assert found.opinions == []


def test_a_sample_is_found_in_its_folder(zoo):
    lake, ids = zoo
    folder = lake.root / "datasets" / "people" / ids["people"]
    wanted = sorted(members(lake, ids["people"]))[0]
    (row,) = trace_sample(lake, str(folder), wanted).published
    split = trace_sample(lake, "people", wanted).split["name"]
    assert (row["file"].split("/")[0], row["row_group"]) == (split, 0)
    (again,) = trace_sample(lake, folder / split, wanted).published
    assert (f"{split}/{again['file']}", again["row"]) == (row["file"], row["row"])


def test_a_sample_that_is_none_of_a_dataset_is_an_error(zoo):
    lake, _ = zoo
    with pytest.raises(ConfigError, match="did not select"):
        trace_sample(lake, "bright", entity_id(NAMES[19]))
    with pytest.raises(ConfigError, match="nothing called"):
        trace_sample(lake, "bright", "no_such_file.bin")


def test_the_commands_say_the_same(zoo, capsys):
    lake, ids = zoo
    where = ["--lake", str(lake.root)]
    assert petrel(["dataset", "trace", *where, "people", entity_id(NAMES[11])]) == 0
    out = capsys.readouterr().out
    assert "opinions behind its answer" in out
    assert "CC-BY-4.0" in out
    assert petrel(["dataset", "impact", *where, "--actor", "human:ada", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["dataset_id"] for row in told["versions"]} == {ids["people"], ids["adas"]}
    assert petrel(["dataset", "impact", *where, "--actor", "human:ada"]) == 0
    assert "2 dataset versions" in capsys.readouterr().out


def test_of_what_was_erased_a_trace_says_so_and_of_what_is_left_of_its_version(zoo, tmp_path):
    lake, ids = zoo
    shutil.copytree(lake.root, tmp_path / "lake")
    with small_lake(tmp_path / "lake", clock=Clock()) as copy:
        erasure = erase(copy, entities=[entity_id("n03")], reason="he asked for it").details["erasure_id"]
        maintain(copy, grace=timedelta(0))
    # Anew: what the process above has open it can read still.
    with small_lake(tmp_path / "lake", clock=Clock()) as copy:
        for wanted in (entity_id("n03"), entity_id("n03")[:8]):
            with pytest.raises(ConfigError, match=f"was erased from the lake .* on 2026-.*{erasure}: he asked for it"):
                trace_sample(copy, ids["people"], wanted)
        with pytest.raises(VersionUnavailableError, match=r"dataset people .*cannot be read any more: .*build it anew"):
            trace_sample(copy, ids["people"], entity_id("n04"))
