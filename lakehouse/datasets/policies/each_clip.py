"""Clips as samples: each has the answer of its video, which is settled before there are clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lakehouse.datasets.policies.kind import AnswerKind, Decision
from lakehouse.datasets.policies.settings import Label


def each_clip(kind: AnswerKind) -> AnswerKind:
    """Return the kind of the answers that clips have, where those about videos are of `kind`."""
    # The reasons stay, for what they tell a person; which of them holds is known already.
    return replace(kind, reasons=tuple(each._replace(when="false") for each in kind.reasons), decide=_decided)


def _decided(row: Mapping[str, Any], _settings: Label) -> Decision:
    raise NotImplementedError(f"clips have the answers of their videos: {row}")
