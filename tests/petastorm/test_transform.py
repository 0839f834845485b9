"""What a transform makes of a schema."""

from __future__ import annotations

import numpy as np
import pytest

from loaders.petastorm.codecs import NdarrayCodec
from loaders.petastorm.transform import TransformSpec, edit_field, transform_schema
from loaders.petastorm.unischema import Unischema, UnischemaField

SCHEMA = Unischema(
    "Pets",
    [
        UnischemaField("name", np.str_, ()),
        UnischemaField("image", np.uint8, (2, 2), NdarrayCodec()),
        UnischemaField("age", np.float64, (), None, True),
    ],
)


def after(*args, **kwargs):
    return transform_schema(SCHEMA, TransformSpec(*args, **kwargs))


def test_nothing_edited_leaves_all_fields_under_another_name():
    assert after(lambda row: row).fields == SCHEMA.fields
    assert after()._name == "Pets_transformed"


def test_edited_fields_come_last_and_lose_their_codec():
    schema = after(
        edit_fields=[("image", np.float32, (3,), False), edit_field("new", np.int8, (), nullable=True)],
        removed_fields=["age"],
    )
    assert list(schema.fields) == ["name", "image", "new"]
    assert schema.image == UnischemaField("image", np.float32, (3,), None, False)
    assert schema.image.codec is None
    assert schema.new.nullable is True


def test_a_field_may_be_edited_by_one_with_a_codec():
    schema = after(edit_fields=[UnischemaField("image", np.uint8, (4,), NdarrayCodec(), True)])
    assert (schema.image.codec, schema.image.nullable) == (None, True)


def test_selected_fields_say_the_order_and_reach_edited_ones():
    assert list(after(selected_fields=["age", "name"]).fields) == ["age", "name"]
    edited = after(edit_fields=[("new", np.int8, (), False)], selected_fields=["new", "name"])
    assert list(edited.fields) == ["new", "name"]
    assert list(after(selected_fields=[]).fields) == []


def test_unknown_names_are_warned_of_and_left_out():
    with pytest.warns(UserWarning, match="remove_fields specified some field names .*not part of the schema.*bed"):
        assert list(after(removed_fields=["age", "bed"]).fields) == ["name", "image"]
    with pytest.warns(UserWarning, match="selected_fields specified some field names .*cot"):
        assert list(after(selected_fields=["cot", "age"]).fields) == ["age"]


def test_removing_and_selecting_at_once_is_refused():
    with pytest.raises(ValueError, match="only specify one of removed_fields and selected_fields"):
        TransformSpec(removed_fields=[], selected_fields=["name"])
