"""Where the statistics are computed: DuckDB inside this process, or Spark. The expressions are the same.

Sums are exact: what is added up is first rounded to a whole multiple of 2^-40 of the display scale, and whole numbers
add up to the same in any order. So neither the number of threads nor the engine changes a digit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol

import pandas as pd

from .errors import TableError
from .shelf import scratch

Name = Literal["duckdb", "spark"]

ONE = 2.0**40
"""What 1 of the display scale is counted as; a sum of n terms is within n · 2^-41 of the true one."""


class Engine(Protocol):
    """What `statistics` needs of a place to compute in."""

    whole: str
    """Type of whole numbers that sums cannot overflow from."""

    def put(self, rows: pd.DataFrame, name: str) -> Any:
        """Hold a frame; its times become microseconds."""

    def parquet(self, files: list[Path], name: str) -> Any:
        """Look at Parquet files of one table."""

    def keep(self, expression: Any, name: str) -> Any:
        """Compute a table once and hold it."""

    def fetch(self, expression: Any) -> pd.DataFrame:
        """Compute a table and bring it here."""

    def close(self) -> None:
        """Let go of everything held."""


class DuckDB:
    """In this process. Without `folder`, everything is in memory; with it, what does not fit is written there."""

    whole = "int64"  # DuckDB adds int64 up in 128 bits

    def __init__(self, *, folder: Path | None = None, threads: int | None = None, memory: int | None = None) -> None:
        """`memory` in bytes bounds what DuckDB holds in memory; `threads` defaults to one a core."""
        import ibis

        settings: dict[str, Any] = {"autoinstall_known_extensions": False}
        if threads is not None:
            settings["threads"] = threads
        if memory is not None:
            settings["memory_limit"] = f"{memory // 2**20}MiB"
        if folder is not None:
            settings["temp_directory"] = str(folder / "spilled")
        self._held = 0
        with scratch():
            self._connection = ibis.duckdb.connect(folder / "kept.duckdb" if folder else ":memory:", **settings)

    def put(self, rows: pd.DataFrame, name: str) -> Any:
        """Hold a frame; its times become microseconds."""
        name = self._fresh(name)
        self._connection.con.register("given", arrow(rows))
        self._connection.con.execute(f'CREATE TABLE "{name}" AS FROM given')
        self._connection.con.unregister("given")
        return self._connection.table(name)

    def parquet(self, files: list[Path], name: str) -> Any:
        """Look at Parquet files of one table."""
        return self._connection.read_parquet([str(file) for file in files], table_name=self._fresh(name))

    def keep(self, expression: Any, name: str) -> Any:
        """Compute a table once and hold it."""
        with scratch():
            return self._connection.create_table(self._fresh(name), expression)

    def fetch(self, expression: Any) -> pd.DataFrame:
        """Compute a table and bring it here."""
        with scratch():
            return frame_of(self._connection.to_pyarrow(expression))

    def close(self) -> None:
        """Let go of everything held."""
        self._connection.disconnect()

    def _fresh(self, name: str) -> str:
        self._held += 1
        return f"{name}_{self._held}"


def arrow(rows: pd.DataFrame) -> Any:
    """A frame as a pyarrow table of text, whole numbers, floats and booleans: no other types, and no all-null ones."""
    import pyarrow as pa

    table = pa.Table.from_pandas(rows, preserve_index=False)
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us")).cast(pa.int64())
        elif not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or column.type == pa.bool_()):
            column = column.cast(pa.string())
        columns[name] = column
    return pa.table(columns)


def frame_of(table: Any) -> pd.DataFrame:
    """A pyarrow table as a frame, decimals as floats; the table is used up."""
    import pyarrow as pa

    for at, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type):
            table = table.set_column(at, column.name, table.column(at).cast(pa.float64()))
    return pd.DataFrame(table.to_pandas(split_blocks=True, self_destruct=True, strings_to_categorical=False))


def engine(name: Name = "duckdb", **settings: Any) -> Engine:
    """Open an engine by name."""
    if name == "duckdb":
        return DuckDB(**settings)
    if name == "spark":
        from .spark import Spark

        return Spark(**settings)
    raise TableError(f"there is no engine {name!r}", remedy="choose duckdb or spark")
