"""Ours against the real Petastorm: datasets it wrote, and what its readers returned, item by item.

`data/<dataset>.json` is what the real one returned. Where ours is meant to differ, the difference has its reason in one
of two tables here: `RULES` say how a value of the real one becomes ours, `INTENDED` names the cases whose items are
another matter; what ours gives there is kept in `data/intended.json`, which
`python -m tests.petastorm.test_fixtures` writes anew.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.petastorm.cases import cases
from tests.petastorm.observing import Case, Package, observe

DATA = Path(__file__).resolve().parent / "data"
OURS = Package("loaders.petastorm")
CASES = list(cases())
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


# ------------------------------------------------------------------------------------------------ what differs


class Rule(NamedTuple):
    reason: str
    change: Callable[[str], str]


def _objects(text: str, null: str) -> str:
    """Return a text array with its nulls as None."""
    kind, shape, values = text.split(" ", 2)
    if not re.match(r"<U\d+$", shape.split(" ")[0]) or kind != "array":
        return text
    size, listed = values.split(" ", 1)
    elements = ast.literal_eval(listed)
    if null not in elements:
        return text
    shown = ", ".join("None" if one == null else f"str {one!r}" for one in elements)
    return f"array |O {size} [{shown}]"


ESCAPED = {
    "np.str_ 'd%3De%2Ff%25'": "np.str_ 'd=e/f%'",
    "np.str_ 'g%3Ah'": "np.str_ 'g:h'",
    "array <U12 (1) ['d%3De%2Ff%25']": "array <U6 (1) ['d=e/f%']",
    "array <U5 (1) ['g%3Ah']": "array <U3 (1) ['g:h']",
}


def _unescaped(text: str) -> str:
    return ESCAPED.get(text, text)


RULES = {
    "row": [
        Rule(
            "images are C-contiguous and list columns are writable: arrays of a row are the user's own",
            lambda text: re.sub(r"^(array \S+ \S+) (?:-W|Cr) ", r"\1 CW ", text),
        ),
        Rule(
            "a null partition is a null, not the name of its folder",
            lambda text: "None" if text == f"np.str_ {HIVE_NULL!r}" else text,
        ),
        Rule("what Spark escaped in the names of folders is itself again", _unescaped),
    ],
    "batch": [
        Rule(
            "a partition is an array as any column, not pandas' Categorical",
            lambda text: text.removeprefix("Categorical "),
        ),
        Rule("a null string stays None, it does not become 'None'", lambda text: _objects(text, "None")),
        Rule("a null partition is a null, not the name of its folder", lambda text: _objects(text, HIVE_NULL)),
        Rule("what Spark escaped in the names of folders is itself again", _unescaped),
    ],
}

UNSUPPORTED = "the real one drops columns of this type"
INTENDED = {
    r"plain/types-(uint(16|32|64)|large_\w+|time(32|64)|fixed_size_list|list_list|list_struct|struct|map|"
    r"dictionary_string|duration)(_null)?-.*": UNSUPPORTED,
    r"plain/types-timestamp_\w+_null-row": "the real one fails to decode a null time",
    r"scalars-all-row": "the real one fails to decode a null time",
    r"plain/types-list_string(_null)?-(row|batch)": "the real one gives the text of the list; strings are one array",
    r"plain/types-list_\w+_null-batch": "the real one fails on a null list",
    r"plain/types-list_(ragged|null_list)-batch": "the real one fails on lists of several lengths",
    r"plain/types-list_null_element-row": "the real one fails on a null inside a list of ints",
    r"plain/types-transform_select_alone-batch": "selected_fields works without a func",
    r"rowgroups-transform_select_alone-row": "selected_fields works without a func",
    r"plain/types-transform_without_func_after_predicate-batch": "a transform without func works after a predicate",
    r"plain/types-transform_after_predicate-batch": "the real one makes ints floats where a predicate dropped rows",
    r"rowgroups-in_lambda(_of_two)?-batch": "the real one makes ints floats where a predicate dropped rows",
    r"rowgroups-in_set-batch": "predicates of rows work on batches too",
    r"plain/evolving-all-.*": "a column added in later files is there, with nulls before",
    r"plain/empty_parts-all-row": "the real one divides by the zero rows of an empty part",
    r"plain/foreign-all-.*": "a _common_metadata of another writer is no error",
    r"old/restore-all-row": "the real one cannot read what old versions wrote under PySpark",
    r"rowgroups-ngram_timestamp_not_asked_for-row": "the timestamp is read, even if no step asks for it",
    r"hive_two-predicate_of_two_partitions-row": "the real one knows one level of partitions only",
    r"hive_int-filters_of_a_column-.*": "filters work on columns that are no partitions",
    r"rowgroups-shard_with_seed-row": "a seed alone shuffles nothing: row groups keep their order",
}


def intended(case: Case) -> str | None:
    """Return why ours is meant to differ in this case."""
    return next((reason for pattern, reason in INTENDED.items() if re.fullmatch(pattern, case.id)), None)


# ------------------------------------------------------------------------------------------------ the tests


@pytest.mark.parametrize("case", [case for case in CASES if not intended(case)], ids=lambda case: case.id)
def test_reads_what_the_real_one_reads(case: Case) -> None:
    real, ours = expected(case), seen(case)
    if "error" in real:
        assert "error" in ours, ours
        assert real["error"] in [ours["error"], *ours["classes"]]
        if not real["error"].endswith(("KeyError", "TypeError")):
            assert ours["message"][:25] == real["message"][:25]
        return
    assert by_name(case, ours) == by_name(case, ruled(case, real))


@pytest.mark.parametrize("case", [case for case in CASES if intended(case)], ids=lambda case: case.id)
def test_differs_from_the_real_one_as_intended(case: Case) -> None:
    ours = seen(case)
    assert ours == json.loads((DATA / "intended.json").read_text(encoding="utf-8"))[case.id]
    assert "error" not in ours
    assert ours != expected(case), "no difference any more"


@pytest.mark.parametrize("case", [case for case in CASES if not case.order], ids=lambda case: case.id)
def test_fields_keep_the_order_of_the_schema(case: Case) -> None:
    ours = seen(case)
    if not isinstance(ours.get("fields"), list) or ours["schema"]["name"].endswith("_transformed"):
        return
    stored = [field[0] for field in seen(Case(case.dataset, "all", case.kind))["schema"]["fields"]]
    assert ours["fields"] == sorted(ours["fields"], key=stored.index)


def test_every_intended_difference_still_has_a_case() -> None:
    unused = [pattern for pattern in INTENDED if not any(re.fullmatch(pattern, case.id) for case in CASES)]
    assert unused == []


# ------------------------------------------------------------------------------------------------ comparing


@cache
def _expected(dataset: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"{dataset}.json").read_text(encoding="utf-8"))
    return found


def expected(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = _expected(case.dataset)[f"{case.name} {case.kind}"]
    return found


@cache
def _seen(case_id: str) -> str:
    case = next(case for case in CASES if case.id == case_id)
    return json.dumps(observe(OURS, case, DATA)).replace(str(DATA), "{data}")


def seen(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_seen(case.id))
    return found


def ruled(case: Case, real: dict[str, Any]) -> dict[str, Any]:
    """Return what ours has to be, given what the real one returned."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {step: change(part) for step, part in value.items()}
        if isinstance(value, list):
            return [change(one) for one in value]
        for rule in RULES[case.kind]:
            value = rule.change(value)
        return value

    return {**real, "items": change(real["items"])}


def by_name(case: Case, found: dict[str, Any]) -> dict[str, Any]:
    """Return an observation with values by the names of fields, in order where that is a promise."""
    pack: Callable[[Any, Any], Any] = (
        (lambda names, values: list(zip(names, values, strict=True)))
        if case.order
        else (lambda names, values: dict(zip(names, values, strict=True)))
    )
    fields = found.get("fields", [])
    items = [
        {step: pack(fields[step], part) for step, part in item.items()}
        if isinstance(item, dict)
        else pack(fields, item)
        for item in found["items"]
    ]
    told = [[_scale(str(part)) for part in field] for field in found["schema"]["fields"]]
    schema = {**found["schema"], "fields": told if case.order else sorted(told)}
    return {"schema": schema, "item": found.get("item"), "items": items}


def _scale(text: str) -> str:
    """Return the text of a codec without precision and scale, which ours tells."""
    return re.sub(r"DecimalType\([0-9,]*\)", "DecimalType()", text)


def main() -> None:
    kept = {case.id: seen(case) for case in CASES if intended(case)}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in kept.items())
    (DATA / "intended.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
