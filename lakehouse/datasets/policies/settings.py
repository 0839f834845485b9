"""What a recipe says about answers: who is asked, and by which policy their answers become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lakehouse.datasets.recipes.sections.choice import CHOICES
from schemas.opinions import ACTOR_KINDS

TIES = ("exclude", "lowest")
BOX_FORMATS = ("xyxy", "xywh")


@dataclass(frozen=True, slots=True)
class Label:
    """How opinions become a label, or another kind of answer.

    Attributes:
        policy: Of a label `majority` (the label with most votes) or `soft` (the same label, of a tie the first by code
            point: for training on `label_probs`, the shares of the votes, which samples have under either policy). Of
            all other answers `single` (the last word of the only actor who answered) or `latest` (the last word of
            anybody); of `labels` and `bool` also `majority` (each label, or yes, that more than half of the votes are
            for), of numbers `mean` and `median`.
        kinds: Kinds of actors that are asked; None: people (`PEOPLE`). Models, rules and a consensus are asked only
            where they are named: what was made of people's answers would be counted beside them.
        actors: Only these actors, of whatever kind; none means all of the kinds.
        quorum: Votes an entity needs, where there are votes.
        min_share: Share of the votes that the label needs, 0 to 1. Of `labels` and `bool` it takes the place of "more
            than half".
        ties: Under `majority`: `exclude`, or `lowest` to take the first label by code point; of `labels` and `bool`
            a tie is exactly half of the votes, and `lowest` means no.
        task: What kind of answers they are: boxes, masks, keypoints, tracks ...; see
            `lakehouse.datasets.policies.BUILT_IN`. "" takes what the question says: of regions its `geometry_kinds`,
            else boxes.
        believe: Name or id of a label policy of the lake (`petrel labels policies`), as it was known at
            `as_of.known_at`: in place of kinds and actors it says whose opinions are heard about each entity, those on
            which its answer rests; of a soft policy with its weights. Where it comes to no answer nobody is heard.
        only: Labels that members may have; entities of others are left out with reason not_in_only. (): all.
        exclude: Labels that members may not have; their entities are left out with reason label_excluded.
        map: Label -> the label of the same label set that it counts as, in every answer, before votes are counted.
        level: Labels deeper in the hierarchy of their set than this count as their ancestor there, after `map`; the
            top is 1. 0: as they are. Class numbers stay those of the label set.
        box_format: How samples have boxes: `xyxy` (x_min, y_min, x_max, y_max) or `xywh` (x_min, y_min, width,
            height).
    """

    policy: str = "majority"
    kinds: tuple[str, ...] | None = field(default=None, metadata={CHOICES: ACTOR_KINDS})
    actors: tuple[str, ...] = ()
    quorum: int = 1
    min_share: float = 0.0
    ties: str = field(default="exclude", metadata={CHOICES: TIES})
    task: str = ""
    box_format: str = field(default="xyxy", metadata={CHOICES: BOX_FORMATS})
    believe: str = ""
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    map: Mapping[str, str] = field(default_factory=dict)
    level: int = 0

    @property
    def asked(self) -> tuple[str, ...]:
        """Kinds of actors that are asked."""
        return PEOPLE if self.kinds is None else self.kinds


PEOPLE = ("human", "pool", "import")
