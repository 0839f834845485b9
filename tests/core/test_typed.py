"""One reader from TOML to dataclasses: strict, and each mistake named with place, expectation and nearest key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from lakehouse.errors import ConfigError, RecipeError
from lakehouse.typed import fill


@dataclass(frozen=True)
class Inner:
    share: float = 0.5
    when: datetime | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = 1
    on: bool = False
    words: tuple[str, ...] = ()
    limit: int | None = None
    quotas: Mapping[str, int] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)


def test_every_annotation_takes_what_toml_has_for_it():
    record = {
        "name": "a", "count": 3, "on": True, "words": ["x", "y"], "limit": None, "quotas": {"frog": 2},
        "params": {"since": datetime(2024, 1, 1), "low": 0.1, "ids": ["a", "b"]},
        "inner": {"share": 1, "when": datetime(2024, 1, 1)},
    }
    found = fill(Outer, record, where="here")
    assert found.words == ("x", "y")
    assert found.inner == Inner(1.0, datetime(2024, 1, 1, tzinfo=UTC))
    assert type(found.inner.share) is float
    assert found.params == {"since": datetime(2024, 1, 1, tzinfo=UTC), "low": 0.1, "ids": ["a", "b"]}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "here: key `name` is missing"),
        ({"nme": "a"}, "here: unknown key `nme`; did you mean `name`?"),
        ({"name": 3}, "here: name: expected str, found int 3"),
        ({"name": "a", "count": True}, "here: count: expected int, found bool True"),
        ({"name": "a", "count": 1.0}, "here: count: expected int, found float 1.0"),
        ({"name": "a", "on": "yes"}, "here: on: expected bool, found str 'yes'"),
        ({"name": "a", "words": "x"}, "here: words: expected a list of texts, found 'x'"),
        ({"name": "a", "words": [1]}, "here: words: expected a list of texts, found [1]"),
        ({"name": "a", "limit": "3"}, "here: limit: expected int, found str '3'"),
        ({"name": "a", "quotas": [3]}, "here: quotas: expected a table, found [3]"),
        ({"name": "a", "quotas": {"frog": "3"}}, "here: quotas.frog: expected int, found str '3'"),
        ({"name": "a", "params": {"x": float("nan")}}, "here: params.x: expected text, number"),
        ({"name": "a", "params": {"x": [[1]]}}, "here: params.x: a list of lists is no value"),
        ({"name": "a", "inner": 3}, "here: inner: expected a table, found 3"),
        ({"name": "a", "inner": {"sare": 1}}, "here: inner: unknown key `sare`; did you mean `share`?"),
        ({"name": "a", "inner": {"when": "2024"}}, "here: inner: when: expected a time like"),
    ],
)
def test_a_mistake_is_named_with_place_and_what_was_expected(record, message):
    with pytest.raises(ConfigError) as caught:
        fill(Outer, record, where="here")
    assert str(caught.value).startswith(message)


def test_the_caller_says_what_is_raised_and_what_a_key_is_called():
    with pytest.raises(RecipeError, match="option `name` is missing"):
        fill(Outer, {}, where="here", word="option", error=RecipeError)
