"""The descriptor beside every set of files: a Frictionless Data Package, version 2 (https://datapackage.org).

It says what each column means, and marks the folder as ours: only such a folder is ever replaced.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from .result_tables import TABLES
from .tables import Table

CREATED_BY = "imitable"
SCHEMA_VERSION = 1
"""Raised when a column changes its meaning."""
PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
TABLE_PROFILE = "https://datapackage.org/profiles/2.0/tableschema.json"
MEDIA = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}


def data_package(
    name: str, title: str, tables: Mapping[str, pd.DataFrame], contents: Mapping[str, bytes]
) -> dict[str, Any]:
    """Describe a folder: `tables` by file name with the frames written there, `contents` every file's bytes."""
    return {
        "$schema": PROFILE,
        "name": name,
        "title": title,
        "created_by": CREATED_BY,
        "schema_version": SCHEMA_VERSION,
        "files": sorted([*contents, "datapackage.json"]),
        "resources": [_resource(file, frame, contents[file]) for file, frame in sorted(tables.items())],
    }


def _resource(file: str, frame: pd.DataFrame, content: bytes) -> dict[str, Any]:
    path = PurePosixPath(file)
    described = TABLES.get(path.stem)
    resource: dict[str, Any] = {
        "name": re.sub(r"[^a-z0-9_.-]", "-", path.stem.lower()) + ("" if path.suffix == ".csv" else path.suffix),
        "path": file,
        "type": "table",
        "format": path.suffix[1:],
        "mediatype": MEDIA[path.suffix],
        "bytes": len(content),
        "hash": "sha256:" + hashlib.sha256(content).hexdigest(),
        "schema": _schema(frame, described),
    }
    if path.suffix == ".csv":
        resource["encoding"] = "utf-8"
    if described:
        resource["title"] = described.title
    return resource


def _schema(frame: pd.DataFrame, described: Table | None) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "$schema": TABLE_PROFILE,
        "fields": [_field(str(name), frame[name], described) for name in frame.columns],
        "missingValues": [""],
    }
    if described and all(name in frame for name in described.key):
        schema["primaryKey"] = list(described.key)
    return schema


def _field(name: str, column: pd.Series[Any], described: Table | None) -> dict[str, Any]:
    known = described.column(name) if described else None
    if known is not None:
        field: dict[str, Any] = {"name": name, "type": known.type, "description": known.meaning}
    else:
        field = {"name": name, "type": _guessed(column), "description": "A column of its author's own."}
    if known is not None and known.required:
        field["constraints"] = {"required": True}
    return field


def _guessed(column: pd.Series[Any]) -> str:
    kinds = pd.api.types
    if kinds.is_bool_dtype(column.dtype):
        return "boolean"
    if kinds.is_integer_dtype(column.dtype):
        return "integer"
    if kinds.is_float_dtype(column.dtype):
        return "number"
    return "datetime" if kinds.is_datetime64_any_dtype(column.dtype) else "string"
