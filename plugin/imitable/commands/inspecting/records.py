"""A build as the inspector reads it: all targets at once, their items only when they are looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from imitable.errors import BuildError
from imitable.rounds import AnswerKey, Example, Item, MadeTarget, PlayedTarget

Record = TypeVar("Record")


@dataclass(frozen=True)
class Tally:
    """What the overview tells of one target's items."""

    splits: dict[str, int]
    """Items of each split."""
    truths: tuple[float, ...]
    """All its truths, display scale."""
    active: float
    """Share of its items that were drawn from an active stratum, 0 to 1."""
    natural: float
    """The same share over the corpus: each item counts by its weight."""


class Records:
    """The files of DIR/build. A large build opens fast: no text is read before its target is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seal = self._identity()
        self.targets: dict[str, PlayedTarget] = {
            target.target_id: target for target in self._all(PlayedTarget, "targets")
        }
        """By target_id, in the order of the build."""
        self.tallies = self._tally()
        """By target_id."""

    def of(self, target_id: str) -> MadeTarget:
        """Everything of one target, each answer beside its item. Raises BuildError when the files no longer fit."""
        import pyarrow.compute as pc

        if self._identity() != self._seal:
            raise BuildError(
                f"{self.folder} was built again while you were reading it. Stop 'imitable inspect' and start it again."
            )
        mine = pc.field("target_id") == target_id
        items = self._all(Item, "items", mine)
        answers = self._all(AnswerKey, "truths", pc.field("item_id").isin([item.item_id for item in items]))
        by_item = {answer.item_id: answer for answer in answers}
        examples = sorted(self._all(Example, "examples", mine), key=lambda example: example.place)
        try:
            beside = tuple(by_item[item.item_id] for item in items)
        except KeyError as error:
            raise self._damaged(f"item {error} has no truth") from error
        return MadeTarget(self.targets[target_id], tuple(items), beside, tuple(examples))

    def _tally(self) -> dict[str, Tally]:
        truth = {row["item_id"]: row["truth"] for row in self._rows("truths", ["item_id", "truth"])}
        of_target: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows("items", ["item_id", "target_id", "split", "stratum", "weight"]):
            of_target[row["target_id"]].append(row)
        tallies = {}
        for target_id in self.targets:
            rows = of_target[target_id]
            splits: dict[str, int] = defaultdict(int)
            for row in rows:
                splits[row["split"]] += 1
            active = [row for row in rows if is_active(row["stratum"])]
            weight = sum(row["weight"] for row in rows)
            try:
                truths = tuple(truth[row["item_id"]] for row in rows)
            except KeyError as error:
                raise self._damaged(f"item {error} has no truth") from error
            tallies[target_id] = Tally(
                splits=dict(splits),
                truths=truths,
                active=len(active) / len(rows) if rows else 0.0,
                natural=sum(row["weight"] for row in active) / weight if weight else 0.0,
            )
        return tallies

    def _all(self, kind: type[Record], name: str, where: Any = None) -> list[Record]:
        names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # the kinds are dataclasses
        return [kind(**{key: _frozen(row[key]) for key in names}) for row in self._rows(name, names, where)]

    def _rows(self, name: str, columns: Sequence[str], where: Any = None) -> list[dict[str, Any]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / f"{name}.parquet"
        try:
            if pq.read_metadata(path).num_rows == 0:  # such a file has no columns to choose from
                return []
            table = pq.read_table(path, columns=list(columns), filters=where)
            if missing := set(columns) - set(table.column_names):
                raise self._damaged(f"{path.name} has no column {sorted(missing)[0]}")
            rows: list[dict[str, Any]] = table.to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(error) from error
        return rows

    def _identity(self) -> tuple[int, int]:
        try:
            found = (self.folder / "report.json").stat()
        except OSError as error:
            raise self._damaged(error) from error
        return found.st_ino, found.st_mtime_ns

    def _damaged(self, why: object) -> BuildError:
        return BuildError(
            f"{self.folder} is damaged, or of another version ({why}). Remove it and run 'imitable build' again."
        )


def is_active(stratum: str) -> bool:
    """Whether a stratum holds activations that count: every one does whose name does not begin with `inactive`."""
    return not stratum.startswith("inactive")


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value
