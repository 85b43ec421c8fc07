"""Spark as the place where statistics are computed: the session that is active, or a small one on this machine."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from .engines import arrow, frame_of
from .errors import TableError

LOCAL = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
"""What a session of our own is set to; a session that is already active is taken as it is."""


class Spark:
    """The same expressions on Spark. Everything held is cached there, in memory and on disk."""

    whole = "decimal(20, 0)"  # Spark's own sum of int64 overflows

    def __init__(self, *, threads: int | None = None) -> None:
        """`threads` are those of a session of our own; one a core by default."""
        self._session, self._own = _session(threads)
        self._spark_name, self._held = f"imitable_{id(self)}", list[Any]()
        with _quiet():
            import ibis

            self._connection = ibis.pyspark.connect(self._session)

    def put(self, rows: pd.DataFrame, name: str) -> Any:
        """Hold a frame; its times become microseconds."""
        with _quiet():
            return self._view(self._session.createDataFrame(arrow(rows)), name)

    def parquet(self, files: list[Path], name: str) -> Any:
        """Look at Parquet files of one table."""
        return self._view(self._session.read.parquet(*(str(file) for file in files)), name)

    def keep(self, expression: Any, name: str) -> Any:
        """Compute a table once and hold it."""
        return self._view(self._session.sql(self._connection.compile(expression)).cache(), name)

    def fetch(self, expression: Any) -> pd.DataFrame:
        """Compute a table and bring it here."""
        with _quiet():
            return frame_of(self._session.sql(self._connection.compile(expression)).toArrow())

    def close(self) -> None:
        """Let go of everything held, and of the session if it is our own."""
        for number, held in enumerate(self._held, start=1):
            held.unpersist()
            self._session.catalog.dropTempView(f"{self._spark_name}_{number}")
        self._held.clear()
        if self._own:
            self._session.stop()

    def _view(self, held: Any, name: str) -> Any:
        self._held.append(held)
        view = f"{self._spark_name}_{len(self._held)}"
        held.createOrReplaceTempView(view)
        return self._connection.table(view)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warning that PySpark 4 knows pandas 2 only: what goes to it and comes back is arrow."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        yield


@contextmanager
def _set(name: str, value: str) -> Iterator[None]:
    """An environment variable, where it is not set, for as long as the JVM starts."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]


def _session(threads: int | None) -> tuple[Any, bool]:
    """A session, and whether it is our own."""
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise TableError("Spark is not installed", remedy="run pip install 'imitable[spark]'") from error
    active = SparkSession.getActiveSession()
    if active is not None:
        return active, False
    builder = SparkSession.builder.appName("imitable").master(
        os.environ.get("SPARK_MASTER", f"local[{threads or '*'}]")
    )
    for name, value in LOCAL.items():
        builder = builder.config(name, value)
    try:
        with _quiet(), _set("SPARK_LOCAL_IP", "127.0.0.1"):
            return builder.getOrCreate(), True
    except (PySparkException, OSError) as error:
        raise TableError(
            f"Spark does not start ({str(error).splitlines()[0]})", remedy="install Java 17 or later and set JAVA_HOME"
        ) from error
