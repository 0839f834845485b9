"""Deciding what of a source is kept, file by file, in the workers that read it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lakehouse.dimensions.extract import measure_view
from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.extractors.extractor import Extractor, Value
from lakehouse.extractors.registry import all_dimensions, extractors
from lakehouse.ingestion.retention.policy import NOT_KEPT, SAMPLE, UNJUDGED, Keep, fits
from lakehouse.media.kinds.registry import Judges
from lakehouse.names import nearest
from schemas.canonical import BUCKET_BITS, bucket

MEASURED_BYTES = 64 << 20
"""Larger files are not measured: they would have to be in memory before anybody knows whether they are kept."""


class Decision(NamedTuple):
    """What a policy says of a file: kept by a rule, the sample or as unjudged, or not kept; and why, for a person."""

    is_kept: bool
    rule: str
    reason: str
    is_sampled: bool


@dataclass(frozen=True, slots=True)
class Keeper:
    """A policy, with what measures for it: what workers get.

    Attributes:
        policy: The policy.
        measuring: Extractors of the dimensions that its rules name.
        judges: Kinds of media and their limits.
    """

    policy: Keep
    measuring: tuple[Extractor, ...]
    judges: Judges

    def wants_bytes(self, size: int) -> bool:
        """Say whether a file of this size is read as a whole, to be measured."""
        return bool(self.measuring) and size <= MEASURED_BYTES

    def decide(self, sha256: str, name: str, sidecar_json: str | None, data: bytes | None) -> Decision:
        """Decide about one file.

        What cannot be judged, as its field is not stated and cannot be measured, is kept: a policy that asks for what
        is not there must lose nothing.

        Args:
            sha256: Of its bytes.
            name: Of the file.
            sidecar_json: What its sidecar says.
            data: Its bytes; None where they are too many, or nothing is to be measured.
        """
        is_sampled = bucket(sha256, self.policy.seed) < self.policy.sample * 2**BUCKET_BITS
        known: dict[str, object] = json.loads(sidecar_json) if sidecar_json else {}
        if any(column not in known for column in self.policy.fields):
            known = {**self._measured(data, name), **known}
        unjudged, against = "", []
        for rule, fields in self.policy.rules.items():
            answers = {column: fits(known.get(column), said) for column, said in fields.items()}
            told = {fit: f"{rule}: {column} is {known.get(column)!r}" for column, fit in reversed(answers.items())}
            if False in told:
                against.append(told[False])
            elif None in told:
                unjudged = unjudged or told[None]
            else:
                return Decision(True, rule, told[True], is_sampled)
        if is_sampled:
            return Decision(True, SAMPLE, f"in the sample of {self.policy.sample:g}", True)
        if unjudged:
            return Decision(True, UNJUDGED, unjudged.replace(" is None", " is not known"), False)
        return Decision(False, NOT_KEPT, "; ".join([*against, f"not in the sample of {self.policy.sample:g}"]), False)

    def _measured(self, data: bytes | None, name: str) -> Mapping[str, Value]:
        if data is None or not self.measuring:
            return {}
        try:
            kind = self.judges.kind_of(data, name)
            if kind is None or len(data) > self.judges.limits[kind.name].max_bytes:
                return {}
            media_type = kind.probe(data, name=name, limits=self.judges.limits[kind.name]).media_type
            view = self.judges.view(data, media_type)
        except RejectedInputError:
            return {}
        values: dict[str, Value] = {}
        fitting = [each for each in self.measuring if each.measures(media_type)]
        for extractor, found in measure_view(view, fitting):
            if not isinstance(found, RejectedInputError):
                values |= zip((each.name for each in extractor.dimensions), found, strict=True)
        return values


def keeper_of(policy: Keep, judges: Judges, *, sidecar_columns: Sequence[str], has_sidecar: bool, where: str) -> Keeper:
    """Return what decides by a policy.

    Args:
        policy: The policy.
        judges: Kinds of media and their limits.
        sidecar_columns: What records of the sidecar state, as far as that is known before files are looked at.
        has_sidecar: Whether files have records.
        where: The source, for messages.

    Raises:
        ConfigError: If a rule asks for what is neither measured nor can be stated.
    """
    dimensions = {each.name for each in all_dimensions()}
    for column in policy.fields:
        could_be_stated = has_sidecar and (not sidecar_columns or column in sidecar_columns)
        if column not in dimensions and not could_be_stated:
            known = sorted(dimensions | set(sidecar_columns))
            raise ConfigError(f"{where}: keep asks for `{column}`, which no sidecar states and nobody measures"
                              f"{nearest(column, known)}")
    measuring = tuple(
        each for each in extractors() if any(dimension.name in policy.fields for dimension in each.dimensions)
    )
    return Keeper(policy, measuring, judges)
