"""Actors: who answered."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lakehouse.errors import ConfigError, RejectedInputError
from lakehouse.lake import Lake
from lakehouse.query import fetch
from schemas.canonical import canonical_json
from schemas.opinions import ACTOR_KINDS

logger = logging.getLogger(__name__)

DETAILS = ("model_uri", "code_version", "params_json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One who answers.

    Attributes:
        kind: human, model, rule, consensus, import or pool.
        name: Name for people.
        version: Version of a model, rule or consensus; "" if it has none.
        model_uri: Where the model is.
        code_version: Version of the code that answers.
        params: Parameters; whoever changes them raises the version.
    """

    kind: str
    name: str
    version: str = ""
    model_uri: str | None = None
    code_version: str | None = None
    params: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        if self.kind not in ACTOR_KINDS or not self.name:
            raise ConfigError(f"actor {self.kind}:{self.name}: needs a name and a kind of {', '.join(ACTOR_KINDS)}")
        if self.kind == "model" and not self.version:
            raise ConfigError(f"actor model:{self.name} needs a version, for example model:{self.name}@1")

    @property
    def actor_id(self) -> str:
        """`kind:name`, with a version `kind:name@version`."""
        return f"{self.kind}:{self.name}" + (f"@{self.version}" if self.version else "")

    def row(self) -> dict[str, object]:
        """The row of silver.actors."""
        return {
            "actor_id": self.actor_id,
            "kind": self.kind,
            "name": self.name,
            "model_uri": self.model_uri,
            "model_version": self.version or None,
            "code_version": self.code_version,
            "params_json": None if self.params is None else canonical_json(dict(self.params)),
        }


def actor_from(actor_id: str) -> Actor:
    """Read `kind:name` or `model:name@version`.

    Raises:
        RejectedInputError: If the text has another form.
    """
    kind, _, name = actor_id.partition(":")
    if kind not in ACTOR_KINDS or not name:
        raise RejectedInputError(
            "bad_actor", f"actor {actor_id!a:.80} must be kind:name, kind being one of {', '.join(ACTOR_KINDS)}; "
            "set actor_prefix, for example \"human:\""
        )
    version = ""
    if kind in ("model", "consensus", "rule"):
        name, _, version = name.partition("@")
        if not name or (kind == "model" and not version):
            raise RejectedInputError("bad_actor", f"actor {actor_id!a:.80} needs name and version: model:name@version")
    return Actor(kind=kind, name=name, version=version)


def actor_rows(lake: Lake, actors: Iterable[Actor]) -> list[dict[str, object]]:
    """Return the rows of silver.actors that the lake does not hold yet.

    Raises:
        ConfigError: If the lake knows one with other details.
    """
    held = {row["actor_id"]: row for row in fetch(lake, "select * from silver.actors")}
    new = []
    for actor in actors:
        row, known = actor.row(), held.get(actor.actor_id)
        if known is None:
            new.append(row)
            continue
        for name in DETAILS:
            if row[name] is not None and known[name] is None:
                logger.warning("details of actor %s are not kept: it was registered without %s", actor.actor_id, name)
            elif row[name] is not None and row[name] != known[name]:
                raise ConfigError(
                    f"actor {actor.actor_id}: {name} is {known[name]!r} in this lake, now {row[name]!r}; "
                    "one that answers differently is another actor: raise its version"
                )
    return new
