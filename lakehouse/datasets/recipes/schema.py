"""The JSON schema of recipes, for editors: made from the dataclasses, so that it cannot say anything else.

    #:schema ../../schemas/recipe.schema.json       first line of a recipe, for editors

`petrel dataset schema` prints it; schemas/recipe.schema.json is what it printed.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lakehouse.datasets.policies import policies
from lakehouse.datasets.recipes.files import EXTENDS, FILE_KEYS, UNSET
from lakehouse.datasets.recipes.recipe import NAME, Recipe
from lakehouse.datasets.recipes.sections.choice import choices_of

DIALECT = "http://json-schema.org/draft-07/schema#"
PLAIN: dict[object, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
    object: {},
}
ATTRIBUTE = re.compile(r"^(?P<name>\w+): (?P<text>.*(?:\n(?: {4,}.*|$))*)", re.MULTILINE)


def recipe_schema() -> dict[str, Any]:
    """Return the schema: types, words that keys take, defaults, and what every key means."""
    found = _table(Recipe)
    found["properties"]["name"]["pattern"] = f"^{NAME.pattern}$"
    found["properties"] |= {
        EXTENDS: {"type": "string", "description": FILE_KEYS[EXTENDS]},
        UNSET: {"type": "array", "items": {"type": "string"}, "description": FILE_KEYS[UNSET]},
    }
    found["properties"]["label"]["properties"]["policy"]["enum"] = list(policies())
    # A recipe that extends another may leave everything to it.
    found["anyOf"] = [{"required": found.pop("required")}, {"required": [EXTENDS]}]
    return {"$schema": DIALECT, "title": "Petrel recipe", **found}


def _table(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    about = _attributes(cls)
    fields = dataclasses.fields(typing.cast("Any", cls))
    found: dict[str, Any] = {
        "type": "object",
        "description": (inspect.getdoc(cls) or "").split("\n\n")[0],
        "additionalProperties": False,
        "properties": {field.name: _key(field, hints[field.name], about.get(field.name, "")) for field in fields},
    }
    required = [field.name for field in fields if _default(field) is dataclasses.MISSING]
    return found | ({"required": required} if required else {})


def _key(field: dataclasses.Field[Any], hint: Any, about: str) -> dict[str, Any]:
    found = _of(hint)
    if choices_of(field):
        found.get("items", found)["enum"] = list(choices_of(field))
    default = _default(field)
    if default is not dataclasses.MISSING and default is not None and not dataclasses.is_dataclass(default):
        found["default"] = default
    return found | ({"description": about} if about else {})


def _of(hint: Any) -> dict[str, Any]:
    """Return the schema of an annotation; see `lakehouse.typed` for those that there are."""
    if isinstance(hint, types.UnionType):
        kinds = [_of(each) for each in typing.get_args(hint) if each is not type(None)]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    origin = typing.get_origin(hint) or hint
    if dataclasses.is_dataclass(origin):
        return _table(typing.cast("type", origin))
    if origin is tuple:
        return {"type": "array", "items": _of(typing.get_args(hint)[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _of(typing.get_args(hint)[1])}
    return dict(PLAIN[origin])


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _attributes(cls: type) -> dict[str, str]:
    """Return what the docstring of a dataclass says about each of its attributes."""
    _, _, text = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    return {found["name"]: " ".join(found["text"].split()) for found in ATTRIBUTE.finditer(inspect.cleandoc(text))}


def schema_text() -> str:
    """Return the schema as the committed file has it."""
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False, default=list) + "\n"

