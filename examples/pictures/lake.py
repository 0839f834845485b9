"""The lake that is shown: people and models who differ a little, versions of a dataset, an evaluation, rejects."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from examples.pictures import files
from lakehouse.config import load_config
from lakehouse.datasets.build import build
from lakehouse.datasets.recipes.recipe import parse_recipe
from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.step import derive
from lakehouse.deriving.transform import chain_of
from lakehouse.dimensions.step import dimensions
from lakehouse.embedding.registry import embedder_named
from lakehouse.embedding.step import embed
from lakehouse.evaluation.evaluate import evaluate
from lakehouse.evaluation.gates import Gate
from lakehouse.ingestion.entities import entities
from lakehouse.ingestion.land import land
from lakehouse.ingestion.sources.source import Source
from lakehouse.lake import Lake
from lakehouse.opening import open_lake
from lakehouse.opinions.geometry.rle import compress, encode
from lakehouse.opinions.predictions import record_opinions
from lakehouse.opinions.questions import Question
from lakehouse.quality.step import quality
from lakehouse.quality.suite import load_suites
from lakehouse.query import fetch

NUM_CELLS, NUM_SHAPES, NUM_CALLS, NUM_FIELDS = 15, 120, 4, 3
MODEL, FINDER = "model:shapes@2", "model:finder@1"

RECIPE = """
name = "shapes"
question = "shape"
seed = 1
[select]
sql = "select entity_id from entities_wide where width = 48 and brightness > {least}"
[label]
policy = "majority"
kinds = ["human"]
[split]
ratios = {{ train = 0.5, test = 0.5 }}
"""

SUITE = """
after = "dimensions"
sql = "select width, height, brightness from entities_wide where media_type like 'image/%'"

[[expect]]
type = "expect_column_values_to_be_between"
column = "width"
min_value = 32

[[expect]]
type = "expect_column_values_to_be_between"
column = "brightness"
min_value = 0.25
max_value = 0.9
blocks = false
"""


class _Days:
    """A clock that stands still until the next thing happens."""

    def __init__(self) -> None:
        self.now = datetime(2024, 5, 6, 9, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@contextmanager
def demo_lake(home: Path) -> Iterator[tuple[Lake, dict[str, str]]]:
    """Yield a new lake in `home` with everything in it, and the entity of each file by its name."""
    clock = _Days()
    config = load_config(overrides=[f'lake.root="{home / "lake"}"', "engine.workers=1"], environ={})
    with open_lake(config, clock=clock, create=True) as lake:
        yield lake, _fill(lake, home, clock)


def _fill(lake: Lake, home: Path, clock: _Days) -> dict[str, str]:
    dice = np.random.default_rng(7)
    drop = home / "drop"
    drop.mkdir(parents=True)
    cells = {f"smear_{seed:02}.jpg": files.cells(seed) for seed in range(NUM_CELLS)}
    shapes = {f"shape_{seed:03}.png": (files.SHAPES[seed % 4], seed) for seed in range(NUM_SHAPES)}
    calls = {f"call_{seed}.wav": files.calls(seed) for seed in range(NUM_CALLS)}
    film, tracks = files.film()
    content = {name: data for name, (data, _) in (cells | calls).items()}
    content |= {name: files.shape(*each) for name, each in shapes.items()}
    content |= {f"field_{seed}.npy": files.field(seed) for seed in range(NUM_FIELDS)}
    content |= {f"note_{place}.txt": text.encode() for place, (text, _) in enumerate(files.SENTENCES)}
    content |= {"balls.mp4": film, "broken.jpg": content["smear_00.jpg"][:900], "empty.png": b""}
    for name, data in content.items():
        (drop / name).write_bytes(data)
    land(lake, Source(name="bench", folder=str(drop), include=("*.*", "*.txt"), licence="CC0-1.0", campaign="spring"))
    entities(lake)
    dimensions(lake)
    clock.later(hours=1)
    derive(lake, chain_of(("flip",), transform_named), where="width = 320 and media_type = 'image/jpeg'")
    derive(lake, chain_of(("frames:every=24",), transform_named))
    dimensions(lake)
    embed(lake, embedder_named("descriptor"))
    rows = fetch(lake, "select name, entity_id from silver.entity_sources")
    ids = {str(row["name"]): str(row["entity_id"]) for row in rows}
    clock.later(days=1)
    _say_of_cells(lake, ids, {name: found for name, (_, found) in cells.items()}, clock, dice)
    _say_of_shapes(lake, ids, {name: label for name, (label, _) in shapes.items()}, clock, dice)
    _say_of_others(lake, ids, {name: said for name, (_, said) in calls.items()}, tracks)
    clock.later(days=1)
    _judge(lake, home, clock)
    return ids


def _say_of_cells(
    lake: Lake, ids: dict[str, str], cells: dict[str, list[files.Cell]], clock: _Days, dice: np.random.Generator
) -> None:
    question = Question(
        question_id="cells", title="Where are which cells?", answer_kind="regions", labels=tuple(files.CELLS)
    )
    frame: dict[str, object] = {"frame_w": files.WIDTH, "frame_h": files.HEIGHT}
    by: dict[str, list[dict[str, object]]] = {"human:ann": [], "human:bo": [], FINDER: []}
    for name, found in cells.items():
        ann = [each.moved(dice, 0.6).region() for each in found]
        bo = [each.moved(dice, 2.0).region() for each in found if dice.random() > 0.12]
        model = [each.moved(dice, 3.0).region(score=round(float(dice.uniform(0.35, 0.99)), 3)) for each in found
                 if dice.random() > 0.08]  # fmt: skip
        for actor, regions in (("human:ann", ann), ("human:bo", bo), (FINDER, model)):
            by[actor].append({"entity_id": ids[name], "regions": regions} | frame)
    for actor, rows in by.items():
        record_opinions(lake, rows, source=actor.partition(":")[2], question=question, actor=actor, said_at=clock())
        clock.later(hours=3)
    outline = Question(
        question_id="outline", title="Where does a cell end?", answer_kind="regions", labels=tuple(files.CELLS)
    )
    masks = [{"entity_id": ids[name], "regions": [_mask(each) for each in found if each.label == "white"]} | frame
             for name, found in cells.items()]  # fmt: skip
    record_opinions(lake, masks, source="outlines", question=outline, actor="model:outline@1", said_at=clock())


def _mask(cell: files.Cell) -> dict[str, object]:
    x, y, w, h = cell.box
    columns, rows = np.meshgrid(np.arange(files.WIDTH), np.arange(files.HEIGHT))
    inside = ((columns + 0.5 - x - w / 2) / (w / 2)) ** 2 + ((rows + 0.5 - y - h / 2) / (h / 2)) ** 2 <= 1
    return {"kind": "mask", "label": cell.label, "mask_encoding": "coco_rle", "mask_counts": compress(encode(inside)),
            "mask_h": files.HEIGHT, "mask_w": files.WIDTH}  # fmt: skip


def _say_of_shapes(
    lake: Lake, ids: dict[str, str], shapes: dict[str, str], clock: _Days, dice: np.random.Generator
) -> None:
    question = Question(question_id="shape", title="Which shape is it?", answer_kind="label", labels=files.SHAPES)

    def slip(label: str, chance: float) -> str:
        return str(dice.choice([each for each in files.SHAPES if each != label])) if dice.random() < chance else label

    for actor, chance in (("human:ann", 0.03), ("human:bo", 0.1), ("human:cy", 0.3)):
        rows: list[dict[str, object]] = [
            {"entity_id": ids[name], "label": slip(label, chance)} for name, label in shapes.items()
        ]
        record_opinions(lake, rows, source=f"{actor[6:]}_shapes", question=question, actor=actor, said_at=clock())
        clock.later(hours=5)
    said = []
    for name, label in shapes.items():
        weights = dice.dirichlet([0.25] * 4) * 0.75
        weights[files.SHAPES.index(label)] += 0.25 + (0.35 if label != "star" else 0.0)
        weights /= weights.sum()
        said.append({"entity_id": ids[name], "probabilities": dict(zip(files.SHAPES, weights.tolist(), strict=True))})
    record_opinions(lake, said, source="shapes_model", question="shape", actor=MODEL, said_at=clock())
    clock.later(days=2)
    # Two people look again: what they said first stays, and is superseded.
    again = [
        {"entity_id": ids[name], "label": label, "reason": "looked again, larger"}
        for name, label in list(shapes.items())[:12]
    ]
    record_opinions(lake, again, source="cy_again", question="shape", actor="human:cy", said_at=clock())


def _say_of_others(
    lake: Lake, ids: dict[str, str], calls: dict[str, list[tuple[str, float, float]]], tracks: list[dict[str, object]]
) -> None:
    sound = Question(
        question_id="calls", title="Which calls are heard?", answer_kind="regions", labels=("rise", "trill")
    )
    heard = []
    for name, said in calls.items():
        times = [(label, round(start, 3), round(end, 3)) for label, start, end in said]
        regions = [{"kind": "interval", "label": label, "t_start": start, "t_end": end} for label, start, end in times]
        heard.append({"entity_id": ids[name], "regions": regions})
    record_opinions(lake, heard, source="calls", question=sound, actor="human:ann")
    balls = Question(question_id="balls", title="Which ball is where?", answer_kind="regions", labels=("ball",))
    frame: dict[str, object] = {"frame_w": files.FILM[1], "frame_h": files.FILM[0]}
    record_opinions(
        lake,
        [{"entity_id": ids["balls.mp4"], "regions": tracks} | frame],
        source="tracks",
        question=balls,
        actor="human:bo",
    )
    names = Question(
        question_id="names", title="What is named?", answer_kind="spans", labels=("person", "machine", "place", "year")
    )
    spans = []
    for place, (text, words) in enumerate(files.SENTENCES):
        places = [(label, text.index(word), len(word)) for label, word in words]
        found = [{"kind": "span", "label": label, "char_start": at, "char_end": at + n} for label, at, n in places]
        spans.append({"entity_id": ids[f"note_{place}.txt"], "spans": found})
    record_opinions(lake, spans, source="names", question=names, actor="human:cy")


def _judge(lake: Lake, home: Path, clock: _Days) -> None:
    for least in (0.3, 0.0):
        build(lake, parse_recipe(tomllib.loads(RECIPE.format(least=least)), where="shapes.toml"))
        clock.later(hours=6)
    dataset = str(fetch(lake, "select dataset_id from gold.datasets order by built_at desc limit 1")[0]["dataset_id"])
    evaluate(lake, dataset_id=dataset, actor=MODEL, question="shape", slices=("brightness:3",),
             gates=(Gate("accuracy", ">=", 0.6), Gate("macro_f1", ">=", 0.99)))  # fmt: skip
    (home / "suites").mkdir()
    (home / "suites" / "pictures.toml").write_text(SUITE)
    quality(lake, load_suites(home / "suites"))
