"""Which changes of a virtual dataset stand, and which somebody chooses: the pure part."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.changes.folding import REVERT, Change, chosen, standing
from tests.lanes import examples


def numbers(changes):
    return [each.number for each in changes]


def test_a_change_that_was_taken_back_does_not_stand_and_later_ones_do():
    changes = [Change(1, "add"), Change(2, "add"), Change(3, "drop"), Change(4, "add"), Change(5, REVERT, 2)]
    assert numbers(standing(changes)) == [1, 3, 4]
    assert numbers(standing([*changes, Change(6, REVERT, 5)])) == [1, 2, 3, 4]
    assert numbers(standing([*changes, Change(6, REVERT, 5), Change(7, REVERT, 6)])) == [1, 3, 4]


def test_changes_are_chosen_by_number_tag_and_last():
    first, second = Change(1, "add", tags=("a",)), Change(2, "add", tags=("a", "b"))
    changes = [first, second, Change(3, "drop"), Change(4, REVERT, 1)]
    assert numbers(chosen(changes)) == [2, 3]
    assert numbers(chosen(changes, upto=3)) == [1, 2, 3]
    assert numbers(chosen(changes, upto=3, without=[2])) == [1, 3]
    assert numbers(chosen(changes, upto=3, only=[2, 3])) == [2, 3]
    assert numbers(chosen(changes, tags=["a"])) == [2]
    assert numbers(chosen(changes, upto=2, tags=["a", "c"])) == [1, 2]


@settings(max_examples=examples(50, long=2000))
@given(st.lists(st.integers(0, 12), max_size=12))
def test_what_stands_is_what_a_person_who_undoes_step_by_step_gets(targets):
    """Number n reverts `target` if that is an earlier change, else it adds."""
    changes = [
        Change(number, REVERT, target) if 0 < target < number else Change(number, "add")
        for number, target in enumerate(targets, start=1)
    ]
    active = {}
    for change in reversed(changes):
        # The newest is always active; what is active decides about what was before it.
        active[change.number] = not any(
            other.reverts == change.number and active[other.number] for other in changes[change.number :]
        )
    assert numbers(standing(changes)) == [each.number for each in changes if each.op == "add" and active[each.number]]
    assert standing(list(reversed(changes))) == standing(changes)
