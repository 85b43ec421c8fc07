"""Writing folders: all files appear at once or none does, and nobody else's folder is ever touched."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .csv_writing import to_csv
from .data_package import CREATED_BY, data_package
from .errors import TableError
from .tables import EPISODES_PLAYED, EXPOSURES, GUESSES, LOOKS, READINGS, TARGETS, Table

DESCRIPTOR = "datapackage.json"

Content = pd.DataFrame | Mapping[str, Any] | str | bytes
"""What a file holds: a table (.csv, .parquet), JSON, text, or bytes."""


def refuse_foreign(out: Path, name: str) -> None:
    """Raise TableError where `write_folder` would not replace `out`: for who has long work before it."""
    try:
        _refuse_foreign(Path(out), name)
    except OSError as error:
        raise TableError(
            f"cannot be looked at ({error.strerror})", remedy="give the path of a new folder", file=out
        ) from error


def write_folder(out: Path, files: Mapping[str, Content], *, name: str, title: str) -> None:
    """Write `files` and their data package to the folder `out`, all at once or not at all.

    `name` is the data package's name and says what kind of folder it is: an existing folder is replaced only if we
    wrote it under the same name and nothing was added to it since. Raises TableError otherwise.
    """
    refuse_foreign(out, name)
    out = Path(os.path.abspath(out))  # so that `.` and `..` have a name and a parent
    contents = {file: _bytes(file, content) for file, content in files.items()}
    tables = {file: content for file, content in files.items() if isinstance(content, pd.DataFrame)}
    contents[DESCRIPTOR] = _json(data_package(name, title, tables, contents))
    token = secrets.token_hex(6)
    fresh = out.with_name(f".{out.name}.{token}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        for file, content in contents.items():
            _write(fresh / file, content)
        _sync(fresh)
        _swap(fresh, out, old=out.with_name(f".{out.name}.{token}.old"))
    except OSError as error:
        raise TableError(
            f"cannot be written ({error})", remedy="check the place and the space on it, then run again", file=out
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def write_export(
    out: Path,
    *,
    guesses: pd.DataFrame,
    targets: pd.DataFrame,
    episodes_played: pd.DataFrame,
    exposures: pd.DataFrame | None = None,
    readings: pd.DataFrame | None = None,
    looks: pd.DataFrame | None = None,
) -> None:
    """Write what `imitable export` promises: guesses as CSV and Parquet, targets, episodes, what was seen, descriptor.

    There is one reading or more a guess where levels show any, so that they are written as both, too.
    """
    ordered = _ordered(guesses, GUESSES)
    files: dict[str, Content] = {
        "guesses.csv": ordered,
        "guesses.parquet": ordered,
        "targets.csv": _ordered(targets, TARGETS),
        "episodes_played.csv": _ordered(episodes_played, EPISODES_PLAYED),
    }
    if exposures is not None:
        files["exposures.csv"] = _ordered(exposures, EXPOSURES)
    if readings is not None:
        files["readings.csv"] = files["readings.parquet"] = _ordered(readings, READINGS)
    if looks is not None:
        files["looks.csv"] = _ordered(looks, LOOKS)
    write_folder(out, files, name="imitable-export", title="Guesses made in an imitable campaign")


def _ordered(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The table with its contract's columns first, in the contract's order."""
    missing = [name for name in table.required if name not in frame]
    if missing:
        raise TableError(
            f"the table of {table.key[0].removesuffix('_id')}s lacks {', '.join(missing)}",
            remedy="add it before the export",
            field=missing[0],
        )
    known = [column.name for column in table.columns if column.name in frame]
    return frame[[*known, *(name for name in frame if name not in known)]]


def _refuse_foreign(out: Path, name: str) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if out.is_symlink() or not out.is_dir():
        raise TableError("is not a folder", remedy="give the path of a new folder", file=out)
    there = {path.name for path in out.iterdir()}
    if not there:
        return
    try:
        descriptor = json.loads((out / DESCRIPTOR).read_text(encoding="utf-8"))
        ours = descriptor.get("created_by") == CREATED_BY
        listed = set(descriptor.get("files", []))
    except (OSError, ValueError, AttributeError, TypeError):
        ours = False
    if not ours:
        raise TableError("is not empty and was not written by imitable", remedy="give a new or empty folder", file=out)
    if descriptor.get("name") != name:
        raise TableError(
            f"holds another kind of files ({descriptor.get('name')})", remedy="give a new folder", file=out
        )
    strange = sorted(there - listed)
    if strange:
        raise TableError(
            f"holds {', '.join(strange[:3])}, which imitable did not write",
            remedy="move that away or give a new folder",
            file=out,
        )


def _bytes(file: str, content: Content) -> bytes:
    if isinstance(content, pd.DataFrame):
        return _parquet(content) if file.endswith(".parquet") else to_csv(content)
    if isinstance(content, bytes):
        return content
    return content.encode() if isinstance(content, str) else _json(content)


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a folder cannot be opened
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(fresh: Path, out: Path, *, old: Path) -> None:
    """Put `fresh` where `out` is; what was there comes back if that fails."""
    if out.exists():
        out.rename(old)
        try:
            fresh.rename(out)
        except OSError:
            try:
                old.rename(out)
            except OSError:
                if out.exists():  # another run put its files there meanwhile
                    shutil.rmtree(old, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        fresh.rename(out)
    _sync(out.parent)
