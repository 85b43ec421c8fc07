"""What a build leaves behind: files in DIR/build that appear all at once, and the same rows in the store."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import delete, insert, select, text

from imitable.campaign import Folder
from imitable.errors import BuildError, MissingExtra
from imitable.rounds import CONSULT, AnswerKey, Baseline, Example, Gauge, Item, MadeTarget, PlayedTarget, Reading
from imitable.store import tables
from imitable.store.engine import Store
from imitable_aggregation import scoring

BUILD_VERSION = 2
"""Raised when the same configuration would build something else."""

_FILES: dict[str, type] = {
    "targets": PlayedTarget,
    "items": Item,
    "truths": AnswerKey,
    "examples": Example,
    "gauges": Gauge,
    "readings": Reading,
    "baselines": Baseline,
}
_NOT_ALWAYS = ("gauges", "readings", "baselines")
"""Files that older builds do not have, nor builds of a campaign without readings."""

Record = TypeVar("Record")


def build_hash_of(folder: Folder) -> str:
    """Hash of everything that the build depends on: the tables that describe it, the key, our own version."""
    config = folder.config
    described = {
        "version": BUILD_VERSION,
        "seed": config.campaign.seed,
        "models": [model.model_dump() for model in config.all_models],
        "corpus": config.corpus.model_dump(),
        "targets": [table.model_dump() for table in config.targets],
        "rounds": [config.episode.practice, config.episode.held_out, config.episode.pool.model_dump()],
        "key": folder.derive("build"),
    }
    if config.episode.beyond:
        described["readings"] = [config.episode.beyond, config.readings.model_dump(exclude={"looks"})]
        if CONSULT in config.episode.beyond and not config.readings.units:
            described["consult"] = 2  # as version, of which units are offered
    if config.players.embedding:
        described["players"] = config.players.model_dump()
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def write_build(folder: Path, made: Sequence[MadeTarget], report: dict[str, Any]) -> None:
    """Write DIR/build: one Parquet file a kind of record, and report.json. All of it, or nothing.

    The folder and its files are for the runner's eyes only (modes 0700 and 0600).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: dict[str, list[Any]] = {
        "targets": [one.target for one in made],
        "items": [item for one in made for item in one.items],
        "truths": [answer for one in made for answer in one.answers],
        "examples": [example for one in made for example in one.examples],
        "gauges": [gauge for one in made for gauge in one.gauges],
        "readings": [reading for one in made for reading in one.readings],
        "baselines": [baseline for one in made for baseline in one.baselines],
    }
    rows = {name: records for name, records in rows.items() if records or name not in _NOT_ALWAYS}
    fresh, old = folder.with_name(".build-new"), folder.with_name(".build-old")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        for name, records in rows.items():
            path = fresh / f"{name}.parquet"
            path.touch(mode=0o600)
            pq.write_table(pa.Table.from_pylist([asdict(record) for record in records]), path)
        report = report | {"files": {path.name: _sha256(path) for path in sorted(fresh.iterdir())}}
        text = json.dumps(report, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        (fresh / "report.json").touch(mode=0o600)
        (fresh / "report.json").write_text(text, encoding="utf-8")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except OSError as error:
        raise BuildError(f"{folder} cannot be written ({error}). Make room for it and build again.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


def copy_build(folder: Path, address: str) -> None:
    """Put the files of DIR/build at an fsspec address (s3://bucket/prefix, a folder), report.json last.

    Raises BuildError when the address cannot be written, or MissingExtra when nothing here speaks to it.
    """
    try:
        import fsspec

        if not address or address.startswith("memory:"):
            raise ValueError("nothing would be left there")
        system, prefix = fsspec.core.url_to_fs(address)
        here = "file" in system.protocol
        if here and Path(prefix).resolve() in (folder.resolve(), folder.parent.resolve()):
            raise ValueError("the build is there already")
    except ImportError as error:
        raise MissingExtra("aws" if address.startswith("s3:") else "models", wanted_for=f"Writing {address}") from error
    except ValueError as error:
        raise BuildError(
            f"{address} is no address to write to ({error}). Give s3://bucket/prefix or a folder."
        ) from error
    try:
        system.makedirs(prefix, exist_ok=True)
        if here:
            Path(prefix).chmod(0o700)  # truths are for the runner's eyes only
        for path in sorted(folder.iterdir(), key=lambda each: each.suffix == ".json"):
            system.put_file(str(path), f"{prefix.rstrip('/')}/{path.name}")
            if here:
                Path(prefix, path.name).chmod(0o600)
    except Exception as error:  # every file system has errors of its own
        raise BuildError(
            f"{address} cannot be written ({error}). The build itself is whole, in {folder}; mend the address or its "
            "permissions, and run the same command again."
        ) from error


def changed_files(folder: Path, report: dict[str, Any]) -> list[str]:
    """Names of the files of DIR/build that are gone, or are not those that were written."""
    return [
        name
        for name, digest in report["files"].items()
        if not (folder / name).is_file() or _sha256(folder / name) != digest
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_REPORTED: dict[str, type] = {
    "build_hash": str,
    "files": dict,
    "models": list,
    "targets": int,
    "items": int,
    "left_out": list,
    "notes": list,
}
"""What every report says, and as what."""

_OF_A_MODEL: dict[str, type] = {"model_id": str, "sha256": str, "device": str, "files": dict}
_OF_ONE_LEFT_OUT: dict[str, type] = {"target_id": str, "reason": str}


def read_report(folder: Path) -> dict[str, Any] | None:
    """The report of the build in DIR/build, or None when there is none."""
    path = folder / "report.json"
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _must_say(report, _REPORTED, "it")
        for model in report["models"]:
            _must_say(model, _OF_A_MODEL, "one of its models")
        for left_out in report["left_out"]:
            _must_say(left_out, _OF_ONE_LEFT_OUT, "what is left out")
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise BuildError(f"{path} is damaged ({error}). Remove {folder} and run 'imitable build' again.") from error
    return report


def _must_say(table: Any, kinds: dict[str, type], whose: str) -> None:
    known = table if isinstance(table, dict) else {}
    lacking = [name for name, kind in kinds.items() if not isinstance(known.get(name), kind)]
    if lacking:
        raise ValueError(f"{whose} does not say {', '.join(lacking)}")


def read_build(folder: Path) -> dict[str, list[Any]]:
    """The records of a build, by file name: `targets`, `items`, `truths`, `examples`, `gauges`, `readings`,
    `baselines`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return {
            name: _records(kind, name, pq.read_table(folder / f"{name}.parquet"))
            if name not in _NOT_ALWAYS or (folder / f"{name}.parquet").exists()
            else []
            for name, kind in _FILES.items()
        }
    except (OSError, ValueError, pa.ArrowException) as error:
        raise BuildError(f"{folder} is damaged ({error}). Remove it and run 'imitable build' again.") from error


def _records(kind: type[Record], file: str, table: Any) -> list[Record]:
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # the kinds are dataclasses
    lacking = [name for name in names if name not in table.column_names]
    if lacking and table.num_rows:  # a table without rows was written without columns
        raise ValueError(f"{file}.parquet has no {', '.join(lacking)}")
    return [kind(**{name: _frozen(row[name]) for name in names}) for row in table.to_pylist()]


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value


def holds_items(store: Store, made: Sequence[MadeTarget]) -> bool:
    """Whether the store's items are exactly those made: same ids, hence same texts and focus tokens."""
    with store.read() as connection:
        built = ~tables.items.c.item_id.startswith(tables.CHECK_ITEM)
        stored = set(connection.execute(select(tables.items.c.item_id).where(built)).scalars())
    return stored == {item.item_id for one in made for item in one.items}


def _rows(records: dict[str, list[Any]]) -> dict[Any, list[dict[str, Any]]]:
    """A build's records as the rows of the store's tables."""
    return {
        tables.targets: [asdict(target) for target in records["targets"]],
        tables.items: [
            {
                "item_id": item.item_id,
                "target_id": item.target_id,
                "split": item.split,
                "text": item.text,
                "focus_start": item.focus[0],
                "focus_end": item.focus[1],
                "active": not item.stratum.startswith("inactive"),
                "weight": item.weight,
            }
            for item in records["items"]
        ],
        tables.truths: [
            {"item_id": answer.item_id, "truth": answer.truth, "activation": answer.activation}
            for answer in records["truths"]
        ],
        tables.shades: _shades(records),
        tables.examples: [asdict(example) for example in records["examples"]],
        tables.gauges: [asdict(gauge) for gauge in records.get("gauges", ())],
        tables.readings: [asdict(reading) for reading in records.get("readings", ())],
        tables.baselines: [asdict(baseline) for baseline in records.get("baselines", ())],
    }


def _shades(records: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """The activations at all tokens of the items that may be shaded once they are answered, to one decimal.

    No shaded text may tell another round's truth. An item whose text also holds another item of the same unit, its
    marked token and all before it (two documents may begin alike), has no row.
    """
    targets: dict[str, PlayedTarget] = {target.target_id: target for target in records["targets"]}
    answers: dict[str, AnswerKey] = {answer.item_id: answer for answer in records["truths"]}
    of_unit: dict[tuple[str, str, int], list[Item]] = defaultdict(list)
    for item in records["items"]:
        target = targets[item.target_id]
        of_unit[target.model_id, target.site, target.unit].append(item)
    rows = []
    for items in of_unit.values():
        asked = [(other.item_id, other.text[: other.focus[1]]) for other in items]
        for item in items:
            answer, target = answers[item.item_id], targets[item.target_id]
            whole = len(answer.values) == len(item.offsets)
            if not whole or any(item.text.startswith(head) for name, head in asked if name != item.item_id):
                continue
            y = scoring.played(answer.values, target.polarity)
            values = scoring.display(y, s=target.scale_s, m=target.scale_m, polarity=target.polarity)
            rows.append(
                {
                    "item_id": item.item_id,
                    "position": item.position,
                    "offsets": item.offsets,
                    "values": [round(value, 1) + 0.0 for value in values.tolist()],
                }
            )
    return rows


def store_differs(store: Store, records: dict[str, list[Any]]) -> list[str]:
    """Names of the store's tables that hold anything else than a build's records."""
    differing = []
    with store.read() as connection:
        for table, rows in _rows(records).items():
            columns = [table.c[name] for name in (rows[0] if rows else ())]
            query = select(*columns)
            if table in (tables.items, tables.truths):
                query = query.where(~table.c.item_id.startswith(tables.CHECK_ITEM))
            stored = connection.execute(query).mappings().all() if columns else []
            if table in (tables.shades, tables.baselines) and not stored:  # loaded by a version that did not keep them
                continue
            if sorted(map(_as_text, stored)) != sorted(map(_as_text, rows)):
                differing.append(str(table.name))
    return differing


def _as_text(row: Any) -> str:
    return json.dumps(dict(row), sort_keys=True)


def load_build(store: Store, *, name: str, build_hash: str, records: dict[str, list[Any]]) -> None:
    """Put a build into the store in one transaction, in place of an unplayed one.

    Raises BuildError when someone has begun to play the old one.
    """
    rows = _rows(records)
    campaign = {
        "campaign_id": store.campaign_id,
        "name": name,
        "build_hash": build_hash,
        "built_at": datetime.now(UTC),
    }
    with store.write() as connection:
        if connection.dialect.name == "postgresql":  # no one is assigned a target, or loads a build, meanwhile
            connection.execute(text("LOCK TABLE campaigns IN EXCLUSIVE MODE"))
        if connection.execute(select(tables.episodes.c.episode_id).limit(1)).first() is not None:
            raise BuildError(
                "The campaign's old build is being played since a moment ago, and cannot be replaced. Put the old "
                "settings back, or make a new campaign with: imitable new"
            )
        for table in reversed(tables.BUILT):
            connection.execute(delete(table))
        connection.execute(insert(tables.campaigns), [campaign])
        for table, values in rows.items():
            if values:
                connection.execute(insert(table), values)
