"""Checked guesses on disk, so that memory does not grow with the file: written once, chunk by chunk, as Parquet."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .errors import TableError
from .tables import GUESSES

_TYPES = {"number": pa.float64(), "integer": pa.float64(), "boolean": pa.bool_(), "datetime": pa.timestamp("us", "UTC")}
_OWN = {"trial": pa.int64(), "line": pa.int64(), "file": pa.int64()}


@contextlib.contextmanager
def scratch() -> Iterator[None]:
    """Around whatever writes scratch files: says of a disk that is full, or memory that is, what to do."""
    import duckdb

    try:
        yield
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        where = tempfile.tempdir or "any folder for temporary files"
        raise TableError(
            f"the scratch files found no room in {where} ({str(error).splitlines()[0]})",
            remedy="free some, or let TMPDIR name a folder with more",
        ) from error


class Shelf:
    """A scratch folder with one Parquet file of guesses. Removed by `close`, or when nobody holds it any more."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="imitable-rank-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.file = self.folder / "checked.parquet"
        self.rows = 0
        self._writer: Any = None
        self._order = _Order()

    def add(self, frame: pd.DataFrame) -> None:
        """Append rows with every column of `tables.GUESSES`, `line` and `file`. All frames have the same columns."""
        schema = self._writer.schema if self._writer is not None else _schema(list(frame.columns))
        columns = [pa.array(frame[name], type=kind) for name, kind in zip(schema.names, schema.types, strict=True)]
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.file, schema, compression="lz4")
        self._writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        self.rows += len(frame)
        self._order.see(frame)

    def done(self) -> None:
        """Nothing more is added."""
        if self._writer is not None:
            self._writer.close()

    @property
    def orderly(self) -> bool:
        """Whether rows came episode after episode, trial after trial, so that none can contradict another."""
        return self._order.kept()

    def close(self) -> None:
        """Remove the folder."""
        self._remove()


class _Order:
    """Watches rows go by: one annotator and target an episode, rising trials, no episode that comes back."""

    def __init__(self) -> None:
        self._holds = True
        self._seen: list[npt.NDArray[np.uint64]] = []
        self._last: pd.DataFrame | None = None

    def see(self, frame: pd.DataFrame) -> None:
        if not self._holds or frame.empty:
            return
        keys = frame[["episode_id", "annotator_id", "target_id", "trial"]]
        if self._last is not None:
            keys = pd.concat([self._last, keys], ignore_index=True)
        names = pd.util.hash_pandas_object(keys["episode_id"], index=False).to_numpy()
        same = names[1:] == names[:-1]
        risen = keys["trial"].to_numpy()[1:] > keys["trial"].to_numpy()[:-1]
        alike = np.ones(len(same), dtype=bool)
        for name in ("annotator_id", "target_id"):
            codes = pd.factorize(keys[name])[0]
            alike &= codes[1:] == codes[:-1]
        self._holds = bool((~same | (risen & alike)).all())
        begun = np.concatenate([[self._last is None], ~same])
        self._seen.append(names[begun])
        self._last = keys.tail(1)

    def kept(self) -> bool:
        if not self._holds or not self._seen:
            return self._holds
        every = np.concatenate(self._seen)
        return len(np.unique(every)) == len(every)


def _schema(names: list[str]) -> Any:
    told = (*GUESSES.columns, *GUESSES.beside)
    known = {column.name: _TYPES.get(column.type, pa.string()) for column in told} | _OWN
    return pa.schema([(name, known.get(name, pa.string())) for name in names])


def half_the_memory() -> int:
    """Bytes: half of what this machine, or the container around us, has."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else [8 << 30]
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if limit.is_file() and (told := limit.read_text().strip()).isdigit():
            sizes.append(int(told))
    return min(sizes) // 2
