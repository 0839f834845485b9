"""What every command that starts Spark takes: `--master` and `--spark-session-config`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def add_configure_spark_arguments(argparser: argparse.ArgumentParser) -> None:
    """Add `--master` and `--spark-session-config key=value ...`."""
    argparser.add_argument("--master", help="where Spark runs, as in local[4]; default: what Spark is set up for")
    argparser.add_argument(
        "--spark-session-config", nargs="+", metavar="KEY=VALUE", default=[],
        help="settings, as in spark.executor.cores=2 spark.executor.memory=10g",
    )  # fmt: skip


def configure_spark(spark_session_builder: SparkSession.Builder, args: argparse.Namespace) -> SparkSession.Builder:
    """Return a `SparkSession.builder` with what the arguments of `add_configure_spark_arguments` say.

    Raises:
        ValueError: If a setting is not KEY=VALUE.
        RuntimeError: If the parser was not given these arguments.
    """
    if "spark_session_config" not in args or "master" not in args:
        raise RuntimeError(
            "--spark-session-config and/or --master were not found in parsed arguments. Call "
            "add_configure_spark_arguments() to add them."
        )
    for key, value in spark_settings(args.spark_session_config).items():
        spark_session_builder.config(key, value)
    if args.master:
        spark_session_builder.master(args.master)
    return spark_session_builder


def spark_settings(pairs: Sequence[str]) -> dict[str, str]:
    """Return the settings of `--spark-session-config`.

    Raises:
        ValueError: If one is not KEY=VALUE.
    """
    settings = {}
    for pair in pairs:
        key, found, value = pair.partition("=")
        if not found or not key:
            raise ValueError(f"Elements of spark_session_config list are expected to be in key=value format: {pair}")
        settings[key] = value
    return settings
