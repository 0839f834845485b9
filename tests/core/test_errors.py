"""The tree of errors: one root, and the builtin that a caller would expect."""

from __future__ import annotations

import inspect
import pickle

import pytest

import schemas.errors
from lakehouse import errors
from loaders.errors import LoaderError


def test_one_except_catches_what_the_library_and_the_loaders_raise():
    assert issubclass(LoaderError, errors.PetrelError)
    assert errors.PetrelError is schemas.errors.PetrelError


def leaves():
    return [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", leaves())
def test_every_error_has_the_one_root_and_stands_in_the_drawn_tree(kind):
    assert issubclass(kind, errors.PetrelError)
    assert kind.__name__ in errors.__doc__
    assert kind.__doc__


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.ConfigError, ValueError),
        (errors.EnvironmentProblemError, RuntimeError),
        (errors.TableNotFoundError, FileNotFoundError),
        (errors.VersionUnavailableError, LookupError),
        (errors.ConcurrentWriteError, RuntimeError),
        (errors.IngestError, RuntimeError),
        (errors.RejectedInputError, ValueError),
        (errors.RecipeError, ValueError),
        (errors.QueryRefusedError, PermissionError),
        (errors.CheckFailedError, AssertionError),
    ],
)
def test_a_leaf_is_also_the_builtin_that_a_caller_expects(kind, builtin):
    assert issubclass(kind, builtin)
    assert f"{kind.__name__} ({builtin.__name__})" in errors.__doc__


def test_a_rejection_keeps_rule_and_reason_on_its_way_out_of_a_worker():
    error = pickle.loads(pickle.dumps(errors.RejectedInputError("truncated", "half of it is missing")))
    assert (error.rule, error.reason, str(error)) == (
        "truncated", "half of it is missing", "truncated: half of it is missing"
    )


@pytest.mark.parametrize("kind", [errors.TableNotFoundError, errors.QueryRefusedError])
def test_an_error_that_is_also_an_os_error_shows_its_message(kind):
    assert str(kind("no table `x`")) == "no table `x`"
    assert str(pickle.loads(pickle.dumps(kind("no table `x`")))) == "no table `x`"
