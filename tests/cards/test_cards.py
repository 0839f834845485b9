"""Cards: they say what plain Python counts, texts of data are only texts, and equal versions give equal bytes."""

from __future__ import annotations

import json
import re
import wave
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jobs.cli import main as petrel
from lakehouse.cards.distributions import BINS, _edges
from lakehouse.cards.facts import card_of
from lakehouse.cards.page import card_markdown, card_page
from lakehouse.cards.samples import SAMPLES, text_of
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.dimensions.step import dimensions
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.materialise.step import materialise
from lakehouse.opinions.step import record_opinions
from lakehouse.pages.document import sentence, table
from lakehouse.query import fetch
from loaders.publishing.damage import damages
from loaders.publishing.verification import verify
from tests.datasets.cells import names_of
from tests.making import Clock, add_opinions, opinion, small_lake

EVIL = "<script>alert(1)</script>|`x`"


class Page(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]


def made(lake, name, **more) -> str:
    return build(lake, parse_recipe({"name": name, "seed": 1} | more, where="zoo.toml")).details["dataset_id"]


def say(lake, names, actor, label) -> None:
    ids = {name: entity for entity, name in names_of(lake).items()}
    add_opinions(lake, [opinion(name, actor, label) | {"subject_id": ids[name]} for name in names])


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Pictures with labels of three people, recordings and texts without a question."""
    top, clock = tmp_path_factory.mktemp("cards"), Clock()
    with small_lake(top / "lake", 'lake.author="Ada <a@b>"', clock=clock) as lake:
        for folder in ("pictures", "sounds", "texts"):
            (top / folder).mkdir()
        names = [f"p{number:02}" for number in range(30)]
        for place, name in enumerate(names):
            Image.new("RGB", (200, 100), (place * 8, 5, 0)).save(top / "pictures" / f"{name}.png")
        for number in range(3):
            with wave.open(str(top / "sounds" / f"s{number}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes((np.sin(np.arange(4000) / 5 / (number + 1)) * 9000).astype("<i2").tobytes())
            (top / "texts" / f"t{number}.dat").write_text(f"{EVIL} {number}")
        land(lake, Source(name=EVIL, folder=str(top / "pictures"), licence=EVIL))
        land(lake, Source(name="sounds", folder=str(top / "sounds")))
        land(lake, Source(name="texts", folder=str(top / "texts")))
        entities(lake)
        dimensions(lake)
        say(lake, names[:20], "human:ada", EVIL)
        say(lake, names[10:], "human:bo", "cat")
        say(lake, names[16:20], "human:cy", "cat")
        bright = "select entity_id from entities_wide where media_type like 'image/%' and brightness >= 0"
        ids = {
            "pictures": made(lake, "pictures", question="animal", select={"sql": bright},
                             strata={"by": ["label"], "quota": 15, "on_short": "take"}),
            "sounds": made(lake, "sounds",
                           select={"sql": "select entity_id from entities where media_type like 'audio/%'"}),
            "texts": made(lake, "texts", split={"ratios": {"all": 1.0}},
                          select={"sql": "select entity_id from entities where media_type like 'text/%'"}),
        }  # fmt: skip
        yield lake, ids


@pytest.fixture(scope="module")
def card(zoo):
    return card_of(zoo[0], "pictures")


def test_what_a_card_counts_is_what_is_there(zoo, card):
    lake, ids = zoo
    rows = fetch(lake, "select * from gold.dataset_members where dataset_id = $id", params={"id": ids["pictures"]})
    counted = Counter((row["label"], row["split"]) for row in rows)
    assert {(label, split): n for label, splits in card.labels.items() for split, n in splits.items()} == counted
    assert {row["stratum"]: row["members"] for row in card.strata} == Counter(row["stratum"] for row in rows)
    # Of 30 pictures six are tied, and four were outvoted: both classes fall short of 15.
    told = [(row["stratum"], row["wanted"], row["available"], row["taken"], row["short"]) for row in card.short]
    assert told == [(EVIL, 15, 10, 10, 5), ("cat", 15, 14, 14, 1)]
    assert {row["reason"]: row["entities"] for row in card.excluded} == {"tie": 6}
    (bright,) = card.dimensions
    assert (bright.dimension, bright.members, bright.missing) == ("brightness", len(rows), 0)
    assert sum(count for _, count in bright.bars) == len(rows)
    assert [(row["licence"], row["source"], row["members"]) for row in card.licences] == [(EVIL, EVIL, len(rows))]
    assert card.version.built_by == "Ada <a@b>"


def test_answers_are_told_with_who_gave_them_and_how_far_they_agree(card):
    told = card.answers
    # Of the members, p00 to p09 have Ada alone, p16 to p19 all three, p20 to p29 Bo alone.
    assert [(row["actor_id"], row["opinions"]) for row in told.actors] == [
        ("human:ada", 14), ("human:bo", 14), ("human:cy", 4),
    ]  # fmt: skip
    assert told.answers == ((1, 20), (3, 4))
    assert told.unanimous == 0.0
    # By the definition: 4 units of (1 evil, 2 cat); 12 answers, 4 of 8. Observed 4 x 4 / 2 = 8, expected 64 / 11.
    assert told.alpha == pytest.approx(1 - (8 / 12) / (2 * 4 * 8 / (12 * 11)))


def test_the_page_is_one_file_without_script_or_address_and_texts_of_data_are_texts(card):
    text = card_page(card)
    page = Page(text)
    assert page.tags["script"] == 0
    assert page.tags["img"] == min(SAMPLES, card.version.version.members)
    assert all(each.startswith("data:image/jpeg;base64,") for each in page.addresses)
    assert not re.search(r"https?:", text.replace("http://www.w3.org/2000/svg", ""))
    assert "&lt;script&gt;alert(1)" in text
    assert "Ada &lt;a@b&gt;" in text
    assert len(text) < 500_000
    assert page.tags["svg"] >= 4


def test_markdown_shows_texts_of_data_as_they_are(card):
    text = card_markdown(card)
    assert "<script" not in text.partition("```")[0]
    lines = text.splitlines()
    assert any(line.startswith("|") and "alert" in line for line in lines)
    for line, after in pairwise(lines):
        if line.startswith("|") and after.startswith("|"):
            # A bar in a name would be a column more.
            assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", after)), after


def test_the_same_version_gives_the_same_bytes_whatever_comes_later(zoo, card, tmp_path):
    lake, _ = zoo
    before = card_page(card), card_markdown(card)
    assert lake.clock.forward(days=1) is None
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "p00.png").write_bytes((Path(lake.root).parent / "pictures" / "p00.png").read_bytes())
    land(lake, Source(name="later", folder=str(tmp_path / "later")))
    entities(lake)
    say(lake, ["p25"], "human:ada", "dog")
    again = card_of(lake, card.version.dataset_id)
    assert (card_page(again), card_markdown(again)) == before


def test_recordings_and_texts_have_cards_too(zoo):
    lake, _ = zoo
    sounds, texts = card_of(lake, "sounds"), card_of(lake, "texts")
    assert sounds.answers is texts.answers is None
    assert {(each.seconds, len(each.wave), each.problem) for each in sounds.samples} == {(0.5, 60, "")}
    assert sorted(each.text for each in texts.samples) == [f"{EVIL} {number}" for number in range(3)]
    for each in (sounds, texts):
        assert Page(card_page(each)).tags["script"] == 0
    assert "0.50 s" in card_page(sounds)


def test_the_three_lines_load_a_batch_and_a_card_beside_a_version_is_no_damage(zoo, monkeypatch, capsys):
    lake, ids = zoo
    where = ["--lake", str(lake.root)]
    assert petrel(["dataset", "card", *where, "texts", "--beside"]) == 1
    assert "is not published" in capsys.readouterr().err
    for name in ("pictures", "texts"):
        materialise(lake, name)
        monkeypatch.chdir(lake.root)
        found: dict[str, object] = {}
        exec("\n".join(card_of(lake, name).load), found)
        batch = found["batch"]
        assert len(batch["entity_id"]) > 0  # type: ignore[index]
        found["reader"].close()  # type: ignore[attr-defined]
    assert petrel(["dataset", "card", *where, "texts", "--beside"]) == 0
    folder = Path(lake.root) / "datasets" / "texts" / ids["texts"]
    assert (folder / "_card.md").read_text() == card_markdown(card_of(lake, "texts"))
    assert list(damages(folder)) == []
    assert verify(folder).rows == 3
    assert materialise(lake, "texts").counts["rows"] == 3


def test_the_command_prints_markdown_and_json_and_writes_files(zoo, tmp_path, capsys):
    lake, ids = zoo
    where = ["--lake", str(lake.root)]
    assert petrel(["dataset", "card", *where, "sounds"]) == 0
    assert "## How to load it" in capsys.readouterr().out
    assert petrel(["dataset", "card", *where, "sounds", "--json", "--html", str(tmp_path / "c.html")]) == 0
    assert json.loads(capsys.readouterr().out)["dataset_id"] == ids["sounds"]
    assert (tmp_path / "c.html").read_text() == card_page(card_of(lake, "sounds"))


@pytest.mark.parametrize(("low", "high", "first", "second"), [
    (0.0, 12.0, "0", "1"), (1e6 + 0.1, 1e6 + 0.2, "1000000.1", "1000000.108333"),
    (1.0, 1.0 + 2**-52, "step 0", "step 1"),
])  # fmt: skip
def test_steps_of_a_histogram_are_told_apart(low, high, first, second):
    edges = _edges(low, high, BINS)
    assert edges[:2] == [first, second]
    assert len(set(edges)) == BINS


@pytest.mark.parametrize(("data", "text"), [
    (b"abc", "abc"), ("é".encode() * 500, "é" * 200), (b"\xff\xfe", ""), (b"a\x00b", ""), (b"", ""),
    (("a" + "é" * 800).encode(), "a" + "é" * 199),
])  # fmt: skip
def test_texts_are_told_from_bytes(data, text):
    assert text_of(data) == text


def test_regions_are_counted_by_class_and_drawn_where_they_are(tmp_path) -> None:
    # Larger than the picture that a card is made from: boxes are in px of the stored one.
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in "ab":
        Image.new("RGB", (1200, 900), (200, ord(name), 9)).save(pictures / f"{name}.png")
    with small_lake(tmp_path / "lake", clock=Clock()) as lake:
        land(lake, Source(name="cells", folder=str(pictures)))
        entities(lake)
        ids = {name: entity for entity, name in names_of(lake).items()}
        said = [
            {"entity_id": ids["a"], "regions": [
                {"kind": "box", "x": 300, "y": 90, "w": 600, "h": 450, "label": EVIL},
                {"kind": "box", "x": 1, "y": 2, "w": 3, "h": 4, "label": "b"},
            ]},
            {"entity_id": ids["b"], "regions": []},
        ]  # fmt: skip
        record_opinions(lake, said, source="desk", question="cells", actor="human:ada")
        made(lake, "boxes", question="cells", label={"policy": "single"}, split={"ratios": {"train": 1.0}})
        card = card_of(lake, "boxes")
        assert card.regions == {EVIL: {"train": 1}, "b": {"train": 1}}
        page = card_page(card)
    assert EVIL not in page
    assert 'viewBox="0 0 1200 900"' in page
    assert '<image href="data:image/jpeg;base64,' in page
    assert re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" class="box"', page) == [
        ("300.0", "90.0", "600.0", "450.0"), ("1.0", "2.0", "3.0", "4.0"),
    ]  # fmt: skip
    assert page.count('<svg class="seen"') == 1, "nothing was said to be in the other picture"


def test_columns_of_numbers_stand_right_and_commands_are_code() -> None:
    assert table(["a", "n"], [["x", 1], ["y", 2000]]) == (
        '<div class="wide"><table><tr><th>a</th><th class="n">n</th></tr>'
        '<tr><td>x</td><td class="n">1</td></tr><tr><td>y</td><td class="n">2,000</td></tr></table></div>'
    )
    assert table(["", ""], [["x", 1], ["y", "<b>"]]) == (
        '<div class="wide"><table><tr><td>x</td><td>1</td></tr><tr><td>y</td><td>&lt;b&gt;</td></tr></table></div>'
    )
    assert sentence("run `petrel <x>` now") == "<p>run <code>petrel &lt;x&gt;</code> now</p>"
