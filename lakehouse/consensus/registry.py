"""The methods of consensus by name: what they answer, what they take, who runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lakehouse.consensus import labelling, objects, quantities, shapes
from lakehouse.consensus.decision import Inputs, Outcome
from lakehouse.consensus.methods.words import METHODS as ABOUT
from lakehouse.consensus.settings import PEOPLE, Settings
from lakehouse.errors import ConfigError
from lakehouse.names import nearest

EM = ("ties", "margin", "rounds", "tolerance")


@dataclass(frozen=True, slots=True)
class Method:
    """One method.

    Attributes:
        about: One line.
        answers: Kinds of answers that it makes one of.
        takes: Settings of its own.
        run: Answers -> decisions.
        hears: Kinds of actors that are heard unless others are named.
    """

    about: str
    answers: tuple[str, ...]
    takes: tuple[str, ...]
    run: Callable[[Inputs, Settings], Outcome]
    hears: tuple[str, ...] = PEOPLE


METHODS: dict[str, Method] = {
    "majority": Method(ABOUT["majority"], ("label", "bool"), ("ties", "margin"), labelling.majority),
    "weighted": Method(ABOUT["weighted"], ("label", "bool"),
                       ("ties", "margin"), labelling.weighted),
    "dawid-skene": Method(ABOUT["dawid-skene"], ("label", "bool"), (*EM, "smoothing", "form"),
                          labelling.full_model),
    "one-coin": Method(ABOUT["one-coin"], ("label", "bool"), EM, labelling.coin_model),
    "weak-supervision": Method(ABOUT["weak-supervision"], ("label", "bool"), EM, labelling.coin_model,
                               hears=("rule",)),
    "mean": Method(ABOUT["mean"], ("number",), (), quantities.mean),
    "median": Method(ABOUT["median"], ("number",), (), quantities.median),
    "trimmed-mean": Method(ABOUT["trimmed-mean"], ("number",), ("trim",), quantities.trimmed_mean),
    "circular-mean": Method(ABOUT["circular-mean"], ("number",), ("period",), quantities.circular_mean),
    "multi-label": Method(ABOUT["multi-label"], ("labels",), ("threshold",), quantities.multi_label),
    "medoid": Method(ABOUT["medoid"], ("text",), (), quantities.medoid),
    "borda": Method(ABOUT["borda"], ("ranking",), (), quantities.borda),
    "bradley-terry": Method(ABOUT["bradley-terry"], ("ranking",), (),
                            quantities.bradley_terry),
    "boxes": Method(ABOUT["boxes"], ("regions",), ("min_iou", "matching"),
                    shapes.boxes),
    "turned-boxes": Method(ABOUT["turned-boxes"], ("regions",), ("min_iou", "matching"),
                           shapes.turned_boxes),
    "keypoints": Method(ABOUT["keypoints"], ("regions",),
                        ("min_iou", "matching", "threshold"), objects.keypoints),
    "tracks": Method(ABOUT["tracks"], ("regions",),
                     ("min_iou", "matching", "threshold"), objects.tracks),
    "masks": Method(ABOUT["masks"], ("regions",),
                    ("min_iou", "matching", "threshold"), shapes.masks),
    "intervals": Method(ABOUT["intervals"], ("regions",), ("threshold",), shapes.intervals),
    "spans": Method(ABOUT["spans"], ("spans",), ("threshold",), shapes.spans),
}  # fmt: skip
"""Name -> method."""


def method_named(name: str, answer_kind: str) -> Method:
    """Return a method for answers of a kind.

    Raises:
        ConfigError: If there is none of that name, or it makes nothing of such answers.
    """
    if name not in METHODS:
        raise ConfigError(f"consensus: no method `{name}`{nearest(name, METHODS)}; there are {', '.join(METHODS)}")
    found = METHODS[name]
    if answer_kind not in found.answers:
        fitting = [each for each, method in METHODS.items() if answer_kind in method.answers]
        raise ConfigError(
            f"consensus {name}: makes one of answers of kind {' or '.join(found.answers)}, those of this question are "
            f"{answer_kind}; for these there are {', '.join(fitting) or 'no methods'}"
        )
    return found
