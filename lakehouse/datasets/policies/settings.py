"""What a recipe says about answers: who is asked, and by which policy their answers become one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """How opinions become a label, or another kind of answer.

    Attributes:
        policy: Of labels `majority` (the label with most votes) or `soft` (the same label, of a tie the first by code
            point: for training on `label_probs`, the shares of the votes, which samples have under either policy). Of
            boxes `single` (the last word of the only actor who answered) or `latest` (the last word of anybody).
        kinds: Kinds of actors that are asked; models are not, unless named.
        actors: Only these actors; none means all of the kinds.
        quorum: Votes an entity needs.
        min_share: Share of the votes that the label needs, 0 to 1.
        ties: Under `majority`: `exclude`, or `lowest` to take the first label by code point.
    """

    policy: str = "majority"
    kinds: tuple[str, ...] = ("human", "pool", "import", "consensus")
    actors: tuple[str, ...] = ()
    quorum: int = 1
    min_share: float = 0.0
    ties: str = "exclude"
