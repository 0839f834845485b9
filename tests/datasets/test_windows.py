"""Windows as samples: stretches of a series in order, whole, labelled by a rule, never across splits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import lakehouse as lh
from lakehouse.datasets.policies.each_window import label_of_window
from lakehouse.datasets.preview import plan_dataset
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.datasets.recipes.sections.samples import Samples
from lakehouse.datasets.sampling import windows
from lakehouse.datasets.sampling.windows import Row, windows_of
from lakehouse.derived.identity import derived_id
from lakehouse.errors import ConfigError, RecipeError
from lakehouse.tracing.impact import impact_of
from lakehouse.tracing.trace import trace_sample
from loaders import Sequence, make_reader
from tests.making import Clock, add_dimension, add_entities, add_opinions, entity_id, opinion, small_lake


def cut(text: str, **said: object) -> tuple[list[str], list[str], str]:
    """Windows, rests and what is between, of a run of one-letter entities; `-` is one that is left out, ` ` a gap."""
    rows = [Row(each, float(place), is_out=each == "-") for place, each in enumerate(text) if each != " "]
    found = windows_of(rows[::-1], Samples(**{"of": "windows", "length": 3} | said))
    return ["".join(each) for each in found.whole], ["".join(each) for each in found.rest], "".join(found.between)


@pytest.mark.parametrize(("text", "said", "whole", "rest", "between"), [
    ("abcdef", {}, ["abc", "def"], [], ""),
    ("abcdefg", {}, ["abc", "def"], ["g"], ""),
    ("abcde", {"stride": 1}, ["abc", "bcd", "cde"], [], ""),
    ("abcdef", {"stride": 2}, ["abc", "cde"], ["ef"], ""),
    ("abcdefgh", {"stride": 5}, ["abc", "fgh"], [], "de"),
    ("abcdefgh", {"step": 2}, ["ace"], ["gh"[:1]], "bdfh"),
    ("ab", {}, [], ["ab"], ""),
    ("", {}, [], [], ""),
    # What is left out, and a gap, end a run.
    ("abcd-efgh", {}, ["abc", "efg"], ["d", "h"], ""),
    ("--abc", {}, ["abc"], [], ""),
    ("abc  def", {"max_gap": 1.0}, ["abc", "def"], [], ""),
    ("ab  cdef", {"max_gap": 1.0}, ["cde"], ["ab", "f"], ""),
    ("ab  cdef", {"max_gap": 3.0}, ["abc", "def"], [], ""),
    ("abcdefg", {"incomplete": "pad"}, ["abc", "def", "ggg"], [], ""),
    ("abcdef", {"incomplete": "pad", "stride": 2}, ["abc", "cde", "eff"], [], ""),
])  # fmt: skip
def test_windows_of_a_run(text, said, whole, rest, between):
    assert cut(text, **said) == (whole, rest, between)


def test_windows_with_too_many_places_are_told_how_many(monkeypatch):
    monkeypatch.setattr(windows, "MOST_PLACES", 10)
    assert cut("abcdef", stride=2)[0] == ["abc", "cde"]
    with pytest.raises(RecipeError, match="7 entities of one series give 7 windows of 3, 21 places, at most 10"):
        cut("abcdefg", stride=1)


@pytest.mark.parametrize(("rule", "labels", "found"), [
    ("last", ["a", None, "b"], ("b", "")),
    ("last", ["a", "b", None], (None, "tie")),
    ("first", ["a", None, None], ("a", "")),
    ("majority", ["a", "b", "b"], ("b", "")),
    ("majority", ["a", None, None], ("a", "")),
    ("majority", ["a", "b", None], (None, "tie")),
    ("majority", [None, None], (None, "tie")),
    ("all", ["a", "b"], (["a", "b"], "")),
    ("all", ["a", None], (None, "tie")),
])  # fmt: skip
def test_a_window_has_the_label_of_its_rule(rule, labels, found):
    decided = label_of_window(rule, labels, [None if label else "tie" for label in labels])
    assert (decided.answer, decided.reason) == found
    assert bool(decided.detail) == bool(decided.reason)


SERIES = {"ann": 7, "ben": 6, "cem": 3}
IN_ONE = {"group": "speaker", "ratios": {"all": 1.0}}
NAMES = [f"{series}{number}" for series, length in SERIES.items() for number in range(length)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Entities of three speakers, in order by `width`; of each third one nobody said anything, one is of nobody."""
    with small_lake(tmp_path_factory.mktemp("windows") / "lake", clock=Clock()) as made:
        add_entities(made, [*NAMES, "lost"], groups={name: {"speaker": name[:3]} for name in NAMES})
        for name in NAMES:
            path = made.root / "objects" / entity_id(name)[:2] / entity_id(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
        add_dimension(made, "width", {name: int(name[3:]) for name in NAMES}, kind="integer", extractor="image_header")
        said = [name for name in NAMES if int(name[3:]) % 3 != 1]
        add_opinions(made, [opinion(name, "human:ann", "low" if int(name[3:]) < 4 else "high") for name in said])
        yield made


def recipe(samples=(), **record):
    said = {"name": "talk", "split": {"group": "speaker", "ratios": {"train": 0.5, "test": 0.5}}}
    windows = {"of": "windows", "series": "speaker", "order": "width", "length": 3} | dict(samples)
    return parse_recipe(said | record | {"samples": windows}, where="talk.toml")


def outcome(lake, wanted):
    """Windows as texts of their entities -> label, split; and (reason -> how many)."""
    names = {entity_id(name): name for name in [*NAMES, "lost"]}
    built = lh.build(lake, wanted)
    about = {"id": built.details["dataset_id"]}
    members = lh.fetch(lake, "select * from gold.dataset_members where dataset_id = $id", params=about)
    left = lh.fetch(lake, "select * from gold.dataset_exclusions where dataset_id = $id", params=about)
    assert built.counts["considered"] == len(members) + len(left)
    for row in members:
        assert row["entity_id"] == derived_id(row["parent_ids"], "window", {})
    found = {" ".join(names[each] for each in row["parent_ids"]): (row["label"], row["split"]) for row in members}
    return found, Counter(row["reason"] for row in left)


def test_windows_are_members_and_what_is_in_none_is_counted(lake):
    found, left = outcome(lake, recipe())
    assert set(found) == {"ann0 ann1 ann2", "ann3 ann4 ann5", "ben0 ben1 ben2", "ben3 ben4 ben5", "cem0 cem1 cem2"}
    assert left == {"incomplete_window": 1, "no_series": 1}
    # All of one speaker are in one split.
    assert len({(window[:3], split) for window, (_, split) in found.items()}) == 3


def test_windows_have_labels_by_their_rule_and_strata_count_windows(lake):
    found, left = outcome(lake, recipe(question="animal"))
    assert {window: label for window, (label, _) in found.items()} == {
        "ann0 ann1 ann2": "low", "ann3 ann4 ann5": "high", "ben0 ben1 ben2": "low", "ben3 ben4 ben5": "high",
        "cem0 cem1 cem2": "low",
    }  # fmt: skip
    assert left == {"incomplete_window": 1, "no_series": 1}
    chosen, left = outcome(lake, recipe(question="animal", strata={"by": ["label"], "quota": {"low": 1, "high": 2}}))
    assert Counter(label for label, _ in chosen.values()) == {"low": 1, "high": 2}
    assert left["over_quota"] == 2
    only, left = outcome(lake, recipe(question="animal", label={"only": ["high"]}))
    assert (len(only), left["not_in_only"]) == (2, 3)


def test_every_row_has_its_own_label_where_all_are_wanted(lake):
    with pytest.raises(RecipeError, match="no entity becomes a member"):
        lh.build(lake, recipe({"window_label": "all"}, question="animal"))
    found, _ = outcome(lake, recipe({"window_label": "all", "length": 1}, question="animal"))
    assert len(found) == 11


def test_a_reader_gives_windows_stacked(lake):
    wanted = recipe({"length": 2, "stride": 1}, name="stacked", question="animal", split=IN_ONE)
    outcome(lake, wanted)
    receipt = lh.materialise(lake, "stacked")
    folder = lake.root / receipt.details["folder"] / "all"
    names = {entity_id(name): name for name in NAMES}
    seen = {}
    stacked = Sequence(length=2, by="window_id", order="position", stride=2)
    with make_reader(folder, batch_size=3, sequence=stacked) as reader:
        for batch in reader:
            for place in np.flatnonzero(~batch["is_pad"]):
                things = batch["entity_id"][place]
                window = " ".join(names[each] for each in things)
                assert batch["window_id"][place][0] == batch["window_id"][place][1] == derived_id(things, "window", {})
                assert list(batch["text"][place]) == window.split()
                seen[window] = batch["label"][place]
    assert len(seen) * 2 == receipt.counts["rows"]
    assert seen["ann4 ann5"] == ["high", "high"]
    # The last of these has no label.
    assert "ann0 ann1" not in seen


def test_columns_of_the_selection_order_a_series_and_stand_in_rows(lake):
    sql = "select entity_id, -cast(width as double) as back from entities_wide where width is not null"
    wanted = recipe({"order": "back"}, name="backwards", select={"sql": sql}, split=IN_ONE)
    found, _ = outcome(lake, wanted)
    assert "ann6 ann5 ann4" in found
    folder = lake.root / lh.materialise(lake, "backwards").details["folder"] / "all"
    with make_reader(folder, batch_size=9, sequence=Sequence(length=3, by="window_id", order="position")) as reader:
        (batch,) = reader
    names = {entity_id(name): name for name in NAMES}
    for things, back in zip(batch["entity_id"], batch["back"], strict=True):
        if things[0] in names:
            assert back.tolist() == [-float(names[each][3:]) for each in things]


def test_a_plan_tells_what_the_build_gives(lake):
    wanted = recipe({"length": 2}, name="planned", question="animal")
    plan, built = plan_dataset(lake, wanted), lh.build(lake, wanted)
    assert (plan.dataset_id, plan.considered, plan.members) == (
        built.details["dataset_id"], built.counts["considered"], built.counts["members"],
    )  # fmt: skip


def test_windows_are_traced_and_touched_by_each_of_their_entities(lake):
    built = lh.build(lake, recipe(name="traced", question="animal"))
    window = derived_id([entity_id(name) for name in ("ann3", "ann4", "ann5")], "window", {})
    found = trace_sample(lake, "traced", window)
    assert [row["entity_id"] for row in found.entity] == [window, *map(entity_id, ("ann3", "ann4", "ann5"))]
    assert {row["subject_id"] for row in found.opinions} == {entity_id("ann3"), entity_id("ann5")}
    for name, count in (("ann4", 1), ("ann6", 0), ("cem2", 1)):
        versions = impact_of(lake, "entity", entity_id(name)).versions
        (version,) = (row for row in versions if row["dataset_id"] == built.details["dataset_id"])
        assert version["touched"] == count


def test_windows_cannot_be_exported(lake, tmp_path):
    lh.build(lake, recipe(name="sent"))
    with pytest.raises(ConfigError, match="windows of several entities, which no form"):
        lh.export(lake, "sent", to=tmp_path / "out", format="webdataset")


@pytest.mark.parametrize(("samples", "record", "message"), [
    ({"length": 0}, {}, "samples.length = 0"),
    ({"series": ""}, {}, "samples.series is missing"),
    ({"order": ""}, {}, "samples.order is missing"),
    ({"stride": 0}, {}, "samples.stride = 0"),
    ({"step": 0}, {}, "samples.step = 0"),
    ({"max_gap": -1.0}, {}, "samples.max_gap = -1"),
    ({"max_gap": float("nan")}, {}, "samples.max_gap = nan"),
    ({"incomplete": "keep"}, {}, "samples.incomplete = 'keep'"),
    ({"window_label": "any"}, {}, "samples.window_label = 'any'"),
    ({"margin": 0.5}, {}, "samples.margin is of regions"),
    ({"of": "regions"}, {}, 'samples.series is of windows; write of = "windows"'),
    ({}, {"split": {"group": "session"}}, "samples.series = 'speaker' is not in split.group"),
    ({}, {"select": {"hard": {"disagreement": {"min": 0.2}}}}, "select.hard"),
    ({}, {"duplicates": {"near": "dhash", "action": "drop"}}, "duplicates.action"),
    ({"window_label": "all"}, {"question": "animal", "balance": {"by": "label"}}, 'window_label = "all"'),
])  # fmt: skip
def test_windows_that_cannot_be_are_refused(samples, record, message):
    with pytest.raises(RecipeError, match=message):
        recipe(samples, **record)


@pytest.mark.parametrize(("order", "message"), [
    ("widht", "did you mean `width`"), ("media_type", "of kind text"), ("created_at", "neither select.sql nor"),
])  # fmt: skip
def test_a_series_is_ordered_by_numbers_or_times(lake, order, message):
    with pytest.raises(RecipeError, match=message):
        lh.build(lake, recipe({"order": order}))
