"""Answers of the person who looks: each one an opinion, at once and for ever. Nothing else can be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.errors import ConfigError
from lakehouse.lake import Lake
from lakehouse.names import nearest
from lakehouse.opinions.predictions import record_opinions
from lakehouse.query import fetch

SOURCE = "petrel_view"
VALUES = ("label", "labels", "number", "text", "bool", "regions")
ASKED = "select distinct question_id from silver.questions"
KEYS = ("entity", "question", "op", "why", "frame_w", "frame_h", "accept", "beside")
REGION = ("kind", "label", "x", "y", "w", "h", "angle", "points", "part_sizes", "closed", "t_start", "t_end",
          "char_start", "char_end")  # fmt: skip

KINDS = {
    "box": ("x", "y", "w", "h"), "ellipse": ("x", "y", "w", "h"), "polygon": ("points",), "polyline": ("points",),
    "point": ("points",), "keypoints": ("points",), "span": ("char_start", "char_end"),
    "interval": ("t_start", "t_end"),
}  # fmt: skip
"""Kinds of regions that can be drawn, and what a region of each is nothing without. Masks are only accepted whole."""

ENTITY = "select entity_id from silver.entities where entity_id = $id"
SAID = """
select value_kind, label, labels, number, text, regions, frame_w, frame_h from current_opinions
where opinion_id = $id and subject_id = $entity and question_id = $question and op = 'assert'
"""


class Annotator:
    """Records what one person says.

    Args:
        lake: The lake.
        actor: Who: `human:NAME`.

    Raises:
        ConfigError: If that is no person.
    """

    def __init__(self, lake: Lake, actor: str) -> None:
        kind, _, name = actor.partition(":")
        if kind != "human" or not name:
            raise ConfigError(f"--actor {actor}: expected human:NAME, the person who answers")
        self._lake, self.actor = lake, actor

    def say(self, asked: Mapping[str, Any]) -> dict[str, object]:
        """Record one answer: `entity`, `question`, one of the values (or `op` = abstain), `why`.

        Regions are px of the stored picture, as `lakehouse.viewing.answers` hands them out. In place of a value,
        `accept` is the id of a current answer to the same, whose value is taken over whole but for its scores;
        `beside`, with regions, is the id of one whose regions stay in front of them.

        Raises:
            ConfigError: If it has no value, or more than is asked for, or there is no such entity.
            IngestError: If the lake refuses it; nothing was written.
        """
        unknown = sorted(set(asked) - {*KEYS, *VALUES})
        if unknown:
            raise ConfigError(f"no key `{unknown[0]}` of an answer{nearest(unknown[0], VALUES)}")
        values = {name: asked[name] for name in VALUES if asked.get(name) is not None}
        abstains = asked.get("op") == "abstain"
        given = len(values) + abstains + bool(asked.get("accept"))
        if given != 1:
            raise ConfigError(f"an answer has one value, or abstains; this one has {given}")
        if "regions" in values:
            if not isinstance(values["regions"], list):
                raise ConfigError(f"regions are a list, found {type(values['regions']).__name__}")
            values["regions"] = [_region(each) for each in values["regions"]]
        question = str(asked.get("question", ""))
        known = [str(each["question_id"]) for each in fetch(self._lake, ASKED)]
        if question not in known:
            raise ConfigError(f"no question `{question}` in this lake{nearest(question, known)}")
        entity = str(asked.get("entity", ""))
        if not fetch(self._lake, ENTITY, params={"id": entity}):
            raise ConfigError(f"no entity `{entity}` in this lake: answers are about entities, not samples of datasets")
        frame = {name: int(asked[name]) for name in ("frame_w", "frame_h") if asked.get(name)}
        if asked.get("accept"):
            values, frame = self._accepted(str(asked["accept"]), entity, question)
        elif asked.get("beside") and "regions" in values:
            before, frame = self._accepted(str(asked["beside"]), entity, question)
            values["regions"] = [*before.get("regions", ()), *values["regions"]]
        row: dict[str, object] = {"entity_id": entity, "event_time": self._lake.clock()} | values | frame
        if abstains:
            row["op"] = "abstain"
        if asked.get("why"):
            row["reason"] = str(asked["why"])
        receipt = record_opinions(self._lake, [row], source=SOURCE, question=question, actor=self.actor)
        return {"counts": dict(receipt.counts), "actor": self.actor}

    def _accepted(self, opinion: str, entity: str, question: str) -> tuple[dict[str, Any], dict[str, int]]:
        """Return the value of a current answer, and the size of the picture that its regions refer to."""
        found = fetch(self._lake, SAID, params={"id": opinion, "entity": entity, "question": question})
        if not found:
            raise ConfigError(f"no answer `{opinion}` holds there now; load the page again")
        said = found[0]
        kind = str(said["value_kind"])
        frame = {name: int(said[name]) for name in ("frame_w", "frame_h") if said[name]}
        if kind in ("regions", "spans"):
            return {kind: [_kept(each) for each in said["regions"]]}, frame
        if kind == "bool":
            return {kind: bool(said["number"])}, frame
        if kind not in VALUES:
            raise ConfigError(f"an answer of kind {kind} cannot be accepted here")
        return {kind: said[kind]}, frame


def _kept(region: Mapping[str, Any]) -> dict[str, object]:
    kept = {name: value for name, value in region.items() if value is not None and name not in ("region_id", "score")}
    if "points" in kept:
        kept["points"] = [{axis: at for axis, at in each.items() if at is not None} for each in region["points"]]
    return kept | ({"attrs": dict(region["attrs"])} if region.get("attrs") else {})


def _region(given: object) -> dict[str, object]:
    if not isinstance(given, dict):
        raise ConfigError(f"a region is an object, found {type(given).__name__}")
    unknown = sorted(set(given) - set(REGION))
    if unknown:
        raise ConfigError(f"no key `{unknown[0]}` of a region{nearest(unknown[0], REGION)}")
    region = {name: value for name, value in given.items() if value is not None}
    kind = str(region.get("kind", ""))
    if kind not in KINDS:
        raise ConfigError(f"a region of kind `{kind}`: expected one of {', '.join(KINDS)}{nearest(kind, KINDS)}")
    missing = [name for name in KINDS[kind] if region.get(name) in (None, [])]
    if missing:
        raise ConfigError(f"a region of kind {kind} has no {missing[0]}: nothing would be left of it")
    return region
