"""From a folder to a plan: the pipeline and the recipe of a demo, written into its folder for reading and reuse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from examples.demo.card import Settings
from examples.demo.detect import ImageFolder, Layout, OpinionsCsv, detect
from examples.demo.digits import NUM_DIGITS, write_digits
from examples.demo.plan import Plan, toml_text, write_if_other
from lakehouse.errors import ConfigError
from lakehouse.typed import read_toml

CONF = Path(__file__).parents[2] / "conf"
QUESTION = "class"

QUICK = Settings(epochs=10, width=16)
"""Photos have more pixels than digits: a first impression, in 25 s of one core for 3,000 images of 32x32."""
BRIGHTNESS = "brightness:4"

Section = tuple[str, Mapping[str, object]]

DATASETS: Section = ("[[datasets]]", {"recipe": "dataset.toml"})


def prepare_digits(home: Path, *, limit: int = NUM_DIGITS) -> Plan:
    """Write the digits and a copy of conf/pipelines/digits.toml that reads them.

    Args:
        home: Folder of the demo.
        limit: Only the first `limit` images.

    Raises:
        ConfigError: If conf/ does not lie beside jobs/: the demo runs from a clone.
    """
    write_digits(home / "data", limit=limit)
    try:
        pipeline = (CONF / "pipelines" / "digits.toml").read_text(encoding="utf-8")
        recipe = (CONF / "datasets" / "digits.toml").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{error.filename} is missing; run the demo from a clone of the repository") from error
    # The same text with other paths: the files in conf/ stay the only place where it is written.
    pipeline = pipeline.replace("../../.demo/digits/data/", "data/").replace("../datasets/digits.toml", "dataset.toml")
    write_if_other(home / "pipeline.toml", pipeline)
    write_if_other(home / "dataset.toml", recipe)
    return Plan(
        name="digits",
        home=home,
        pipeline=home / "pipeline.toml",
        question="digit",
        gates=("accuracy>=0.97",),
        slices=(BRIGHTNESS,),
        found=f"{limit:,} handwritten digits of scikit-learn",
    )


def prepare_folder(data: Path, home: Path, *, name: str) -> Plan:
    """Find out what a folder is and write a pipeline and a recipe for it.

    Args:
        data: The folder.
        home: Folder of the demo.
        name: Name of demo, source and dataset.

    Raises:
        IngestError: If it is nothing that we know.
        ConfigError: If `home` holds the demo of another folder.
    """
    layout = detect(data)
    pipeline, recipe, question = sections_of(layout, data.absolute(), name)
    _check_home(home, data.absolute())
    write_if_other(home / "pipeline.toml", toml_text(pipeline))
    write_if_other(home / "dataset.toml", toml_text(recipe))
    return Plan(
        name=name,
        home=home,
        pipeline=home / "pipeline.toml",
        question=question,
        slices=(BRIGHTNESS,) if question else (),
        settings=QUICK,
        found=_described(layout),
    )


def name_of(data: Path) -> str:
    """Return a name for a demo: that of the folder, in lower-case letters, digits, `_` and `-`; never `digits`."""
    name = re.sub(r"[^a-z0-9_-]+", "-", data.absolute().name.lower()).strip("-") or "data"
    return name if name != "digits" else "my-digits"


def sections_of(layout: Layout, data: Path, name: str) -> tuple[list[Section], list[Section], str]:
    """Return the sections of the pipeline, those of the recipe, and the question to learn ("" for none)."""
    pipeline: list[Section] = [("[[sources]]", {"name": name, "folder": str(data)})]
    recipe: dict[str, object] = {"name": name, "seed": 1}
    label: dict[str, object]
    split: Section = ("[split]", {"ratios": {"train": 0.7, "val": 0.1, "test": 0.2}})
    if isinstance(layout, OpinionsCsv):
        pipeline.append(("[[opinions]]", _csv_opinions(layout, data, name)))
        if layout.folders is not None:
            pipeline.append(("[[opinions]]", _folder_opinions(layout.folders, data, name)))
        recipe["question"] = QUESTION
        # The folder a file lies in is one more opinion, kept to be compared; people decide.
        kinds = ["import"] if _actor(layout, name).startswith("import:") else ["human", "pool"]
        label = {"policy": "majority", "kinds": kinds, "quorum": 1}
        if kinds == ["import"]:
            label["actors"] = [_actor(layout, name)]
        return [*pipeline, DATASETS], [("", recipe), ("[label]", label), split], QUESTION
    if isinstance(layout, ImageFolder):
        pipeline.append(("[[opinions]]", _folder_opinions(layout, data, name)))
        recipe["question"] = QUESTION
        label = {"policy": "majority", "kinds": ["import"]}
        return [*pipeline, DATASETS], [("", recipe), ("[label]", label), split], QUESTION
    pipeline.append(
        (
            "[[opinions]]",
            {
                "format": "voc",
                "path": str(data / layout.annotations),
                "source": name,
                "question": "objects",
                "actor": f"import:{name}",
            },
        )
    )
    return [*pipeline, DATASETS], [("", recipe), split], ""


def _check_home(home: Path, data: Path) -> None:
    path = home / "pipeline.toml"
    before = [source.get("folder") for source in read_toml(path).get("sources", [])] if path.is_file() else []
    if before and str(data) not in before:
        raise ConfigError(
            f"{home} holds the demo of {before[0]}, and {data} has the same name; rename the folder or remove {home}"
        )


def _csv_opinions(layout: OpinionsCsv, data: Path, name: str) -> dict[str, object]:
    columns = dict(layout.columns)
    if "votes" in columns and "actor" not in columns:
        # One pool answers with several labels: each label is a place of its own, or the last would hide the others.
        columns["slot"] = columns["label"]
    options: dict[str, object] = {
        "format": "csv",
        "path": str(data / layout.file),
        "source": name,
        "question": QUESTION,
        "actor": _actor(layout, name),
        "columns": columns,
    }
    if "actor" in columns:
        options["actor_prefix"] = "human:"
    return options


def _actor(layout: OpinionsCsv, name: str) -> str:
    if "actor" in layout.columns:
        return f"human:{name}"
    return f"pool:{name}" if "votes" in layout.columns else f"import:{name}"


def _folder_opinions(layout: ImageFolder, data: Path, name: str) -> dict[str, object]:
    return {
        "format": "imagefolder",
        "path": str(data),
        "source": name,
        "question": QUESTION,
        "actor": f"import:{name}-folders",
        "depth": layout.depth,
    }


def _described(layout: Layout) -> str:
    if isinstance(layout, OpinionsCsv):
        beside = f", folder names as one more opinion ({len(layout.folders.classes)} classes)" if layout.folders else ""
        columns = ", ".join(layout.columns.values())
        return f"{layout.images:,} images with opinions in {layout.file} ({columns}){beside}"
    if isinstance(layout, ImageFolder):
        return f"ImageFolder: {layout.images:,} images in {len(layout.classes)} classes"
    return f"Pascal VOC: {layout.images:,} images, {layout.files:,} annotation files in {layout.annotations}"
