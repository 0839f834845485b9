"""Expectations of Great Expectations over rows of either engine: pandas on this machine, a frame on Spark.

Nothing is configured, written or cached by it: an ephemeral context for each call, the whole frame as one batch.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from lakehouse.engines.protocol import Expectation, Outcome
from lakehouse.errors import ConfigError, EnvironmentProblemError, one_line

EXAMPLES = 5
"""Values that broke an expectation which are kept of it."""

CONNECT = ("pyspark.sql.connect.dataframe", "pyspark.sql.connect.session")
"""What Great Expectations asks of pyspark beside frames: without grpc, which nothing here needs, its import ends the
process where that runs text (`python -c`), with exit code 0."""


def outcomes_of_arrow(rows: pa.Table, expectations: Sequence[Expectation]) -> list[Outcome]:
    """Check expectations over rows in memory; see `lakehouse.engines.protocol.Engine.check`."""
    import pandas as pd

    nullable = {
        pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(), pa.float32(): pd.Float32Dtype(), pa.float64(): pd.Float64Dtype(),
        pa.bool_(): pd.BooleanDtype(), pa.string(): pd.StringDtype(),
    }  # fmt: skip
    # NULL and NaN stay two things, and whole numbers with a NULL among them stay whole, as they do on Spark.
    frame = rows.to_pandas(types_mapper=nullable.get)
    return _outcomes(frame, expectations, spark=False)


def outcomes_of_spark(frame: Any, expectations: Sequence[Expectation]) -> list[Outcome]:
    """Check expectations over a frame of Spark; see `lakehouse.engines.protocol.Engine.check`."""
    return _outcomes(frame, expectations, spark=True)


def _outcomes(frame: Any, expectations: Sequence[Expectation], *, spark: bool) -> list[Outcome]:
    with _great_expectations() as gx:
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        sources = context.data_sources
        # By itself it would cache the whole frame.
        source = sources.add_spark("lake", persist=False) if spark else sources.add_pandas("lake")
        batch = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
        suite = gx.ExpectationSuite(name="asked", expectations=[_known(gx, each) for each in expectations])
        found = batch.get_batch(batch_parameters={"dataframe": frame}).validate(suite, result_format="SUMMARY")
    results = {each["expectation_config"]["meta"]["place"]: each for each in found.to_json_dict()["results"]}
    return [_outcome(results[each.place]) for each in expectations]


def _known(gx: Any, each: Expectation) -> Any:
    """Return an expectation as the library has it."""
    from great_expectations.exceptions.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    stated = ExpectationConfiguration(type=each.type, kwargs=dict(each.arguments), meta={"place": each.place})
    try:
        return stated.to_domain_obj()
    except (GreatExpectationsError, ValueError, TypeError) as error:
        raise ConfigError(f"{each.where}: {each.type}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return what was wrong, in one line: the library's own texts name its classes and addresses of its pages."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines[1:] if line and not line.startswith("For further")]
    return one_line("; ".join(said) if said and "validation error" in lines[0] else error)


def _outcome(result: Mapping[str, Any]) -> Outcome:
    raised = _raised(result.get("exception_info") or {})
    if raised:
        return Outcome(passed=False, problem=one_line(raised))
    counts = result.get("result") or {}
    observed = counts.get("observed_value")
    # What is asked of all rows together may count values that broke it too: these are no rows.
    of_rows = observed is None and counts.get("element_count") is not None
    if observed is None and "partial_missing_list" in counts:  # of values that should all be there
        observed = {"missing": counts["partial_missing_list"], "unexpected": counts.get("partial_unexpected_list")}
    examples = tuple(one_line(json.dumps(each), limit=100) for each in counts.get("partial_unexpected_list") or ())
    return Outcome(
        passed=bool(result["success"]),
        observed="" if of_rows else _json(observed),
        rows=counts["element_count"] if of_rows else None,
        failing_rows=counts["unexpected_count"] if of_rows else None,
        examples=tuple(dict.fromkeys(examples))[:EXAMPLES],
    )


def _json(observed: object) -> str:
    """Return JSON; of infinite numbers, which it has not, their names as texts."""
    return json.dumps(json.loads(json.dumps(observed), parse_constant=str))


def _raised(said: Mapping[str, Any]) -> str:
    """Return what an expectation could not be checked for, '' if it could: of one, or of each of its measures."""
    each = [said] if "raised_exception" in said else [info for info in said.values() if isinstance(info, Mapping)]
    return next((str(info["exception_message"]) for info in each if info.get("raised_exception")), "")


@contextmanager
def _great_expectations() -> Iterator[Any]:
    """Give the library, without its import of what Spark Connect needs."""
    without = [name for name in CONNECT if name not in sys.modules]
    sys.modules.update(dict.fromkeys(without))  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of modules that Python calls deprecated, and of what pandas will change
        try:
            import great_expectations as gx
        except ImportError as error:
            raise EnvironmentProblemError(
                f"quality suites need Great Expectations, which cannot be imported ({one_line(error)}); run: pip "
                "install 'petrel-lakehouse[quality]'"
            ) from error
        finally:
            for name in without:
                del sys.modules[name]
        # It tells of a folder of this machine for every context, whatever the level of others.
        logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
        yield gx
