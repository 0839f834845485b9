"""Where the keys of a TOML file stand."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.toml_places import Place, places_of
from tests.lanes import examples

TEXT = '''# x = 1
name = "a # no comment"
[select]   # [split]
sql = """
ratios = 3
"""
params = { least = 3, "odd key" = [1, { deep = 2 }], 'raw' = 'a\\' }

[strata.cells]
"frog|real" = 5
a.b = [
  1, # ]
  2,
]
[[datasets]]
recipe = "x"
'''


def test_keys_are_found_where_they_stand():
    found = places_of(TEXT)
    assert found[("name",)] == Place(2, 1)
    assert found[("select",)] == Place(3, 2)
    assert found[("select", "sql")] == Place(4, 1)
    assert found[("select", "params")] == Place(7, 1)
    assert found[("select", "params", "least")] == Place(7, 12)
    assert found[("select", "params", "odd key")] == Place(7, 23)
    assert found[("select", "params", "odd key", "deep")] == Place(7, 41)
    assert found[("strata",)] == Place(9, 2)
    assert found[("strata", "cells", "frog|real")] == Place(10, 1)
    assert found[("strata", "cells", "a", "b")] == Place(11, 3)
    assert found[("datasets", "recipe")] == Place(16, 1)
    assert ("split",) not in found
    assert ("select", "ratios") not in found
    assert ("x",) not in found


KEYS = st.text("ab_-1", min_size=1, max_size=3)
VALUES = st.recursive(
    st.sampled_from(['"a, b ] } # = \\" \\\\"', "'x]'", '"""\n[q]\n"a" = 1 \\" ""x"""', "'''\ny = 2'''", "1.5", "true",
                     "2024-01-31T12:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda each: "[\n " + ", # ,]\n ".join(each) + "\n]"),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=examples(60, long=1000))
@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_every_key_that_is_read_has_a_place_and_no_other(tables):
    text = "\n".join(
        f"[ {table} ] # c\n" + "\n".join(f"{key}  = {value}" for key, value in keys.items())
        for table, keys in tables.items()
    )
    record = tomllib.loads(text)
    found = places_of(text)
    assert set(found) == {(table,) for table in record} | {(table, key) for table in record for key in record[table]}
    lines = text.splitlines()
    for path, place in found.items():
        assert lines[place.line - 1][place.column - 1 :].startswith(path[-1])
