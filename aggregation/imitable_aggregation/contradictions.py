"""Rows that are good by themselves and contradict each other: found by queries over the checked rows, not in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import scoring
from .errors import TableError
from .shelf import Shelf, half_the_memory

SAME_L_REF = 1e-6
"""Relative difference up to which two reference losses of one target are the same number, rounded."""
MIXED = "its episode_id belongs to another annotator or target"
TWICE = "an earlier row already holds this episode_id and trial"
FLAT = "its target's truths are all equal, so no l_ref can be derived"
UNCOUNTED = "its target has no counted row to derive l_ref from"


class Checked:
    """The checked rows of a shelf as a DuckDB relation `checked`, and what is found in it."""

    def __init__(self, shelf: Shelf, path: Path) -> None:
        import duckdb

        self.path = path
        self.orderly = shelf.orderly
        self.stands = True
        self.connection = duckdb.connect(
            config={
                "memory_limit": f"{half_the_memory() >> 20}MiB",
                "temp_directory": str(shelf.folder / "spilled"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
            }
        )
        self.connection.read_parquet(str(shelf.file)).create_view("checked")

    def set_contradictions_aside(self) -> Iterator[pd.DataFrame]:
        """Rows that contradict an earlier one (by answered_at, else by line), with `reason`, a bounded frame at a time.

        Afterwards `standing` is what is left. Raises TableError where most rows belong to mixed episodes.
        """
        if self.orderly or not self._suspects():
            self.connection.execute("CREATE VIEW standing AS FROM checked")
            return
        self.connection.execute(
            """
            CREATE TEMP TABLE judged AS
            WITH placed AS (
                SELECT *,
                    annotator_id <> first_value(annotator_id) OVER episode
                        OR target_id <> first_value(target_id) OVER episode AS mixed
                FROM checked SEMI JOIN suspect USING (episode_id)
                WINDOW episode AS (PARTITION BY episode_id ORDER BY answered_at NULLS LAST, file, line)
            )
            SELECT * FROM (
                SELECT *, row_number() OVER (
                    PARTITION BY episode_id, trial, mixed ORDER BY answered_at NULLS LAST, file, line
                ) > 1 AS twice
                FROM placed
            ) WHERE mixed OR twice
            """
        )
        (rows,) = self.one("SELECT count(*) FROM checked")
        found, mixed = self.one("SELECT count(*), count(*) FILTER (mixed) FROM judged")
        if mixed > rows / 2:
            raise TableError(
                "most episode_id stand for several annotators or targets",
                remedy="make them unique, or leave the column out",
                file=self.path,
                field="episode_id",
            )
        self.stands = not found
        self.connection.execute("CREATE VIEW standing AS FROM checked ANTI JOIN judged USING (file, line)")
        yield from self._rows(
            "SELECT * EXCLUDE (mixed, twice), CASE WHEN mixed THEN ? ELSE ? END AS reason FROM judged "
            "ORDER BY file, line",
            MIXED,
            TWICE,
        )

    def _suspects(self) -> int:
        """Find the episodes in which rows may contradict each other, `suspect`; returns how many.

        Different trials up to 62 set as many bits of one number; an episode of more trials is looked at closely.
        """
        self.connection.execute(
            """
            CREATE TEMP TABLE suspect AS
            SELECT episode_id FROM checked GROUP BY episode_id
            HAVING min(annotator_id) <> max(annotator_id) OR min(target_id) <> max(target_id) OR max(trial) > 62
                OR bit_count(bit_or(1::BIGINT << least(trial, 62))) <> count(*)
            """
        )
        (found,) = self.one("SELECT count(*) FROM suspect")
        return int(found)

    def references(self, targets: pd.DataFrame | None, notes: list[str]) -> pd.DataFrame:
        """`target_id, reference, reason`: one l_ref a target, as given, else as in targets.csv, else derived.

        Reference is nan, and reason says why, where there is none. Raises TableError for two l_ref of one target.
        """
        given = [self.frame("SELECT target_id, min(l_ref) AS low, max(l_ref) AS high FROM standing GROUP BY target_id")]
        if targets is not None and "l_ref" in targets:
            beside = targets[(targets["l_ref"] > 0) & targets["target_id"].isin(given[0]["target_id"])]
            given.append(
                pd.DataFrame({"target_id": beside["target_id"], "low": beside["l_ref"], "high": beside["l_ref"]})
            )
        ends = pd.concat(given).groupby("target_id").agg({"low": "min", "high": "max"})
        two = ends[(ends["high"] - ends["low"]) > SAME_L_REF * ends["high"]]
        if len(two):
            name, row = two.index[0], two.iloc[0]
            raise TableError(
                f"{name} has two l_ref, {row['low']:.6g} and {row['high']:.6g}",
                remedy="keep the one that its guesses were scored with",
                file=self.path,
                field="l_ref",
            )
        reference, reason = ends["low"].copy(), pd.Series("", index=ends.index, dtype="str")
        lacking = ends.index[reference.isna()]
        if len(lacking):
            derived = self._derived(pd.DataFrame({"target_id": lacking}))
            reference.update(derived["reference"].where(derived["reference"] >= scoring.LEAST_L_REF))
            known = derived["reference"].reindex(lacking)
            reason.loc[known.index[known.isna()]] = UNCOUNTED
            reason.loc[known.index[known.notna() & ~(known >= scoring.LEAST_L_REF)]] = FLAT
            how = (
                "from every row of the target"
                if derived["by_row"].any()
                else "from the target's rows, one truth for each item"
            )
            done, known_to_all = int((derived["reference"] > 0).sum()), int(reference.notna().sum())
            if done:
                notes.append(f"l_ref was derived {how}, for {done} of {known_to_all} targets.")
        low = sorted(str(name) for name, value in reference.items() if value < scoring.FLATTEST_L_REF)
        if low:
            notes.append(
                f"{len(low)} targets are very flat (l_ref below {scoring.FLATTEST_L_REF:g}), so that skill there is"
                f" noisy: {', '.join(low[:5])}{' …' if len(low) > 5 else ''}."
            )
        return pd.DataFrame({"reference": reference.astype("float64"), "reason": reason}).reset_index()

    def _derived(self, lacking: pd.DataFrame) -> pd.DataFrame:
        """By target_id: `reference` from its counted truths, one an item; all where an item is unknown (`by_row`)."""
        self.connection.register("lacking", lacking)
        found = self.frame(
            """
            WITH counted AS (SELECT * FROM standing SEMI JOIN lacking USING (target_id) WHERE phase <> 'check'),
            known AS (SELECT target_id, bool_or(item_id IS NULL) AS by_row FROM counted GROUP BY target_id),
            truths AS (
                SELECT target_id, by_row, arg_min(truth, line) AS truth, 1 AS n
                FROM counted JOIN known USING (target_id) WHERE NOT by_row GROUP BY target_id, by_row, item_id
                UNION ALL
                SELECT target_id, by_row, truth, count(*) AS n
                FROM counted JOIN known USING (target_id) WHERE by_row GROUP BY target_id, by_row, truth
            )
            SELECT target_id, by_row, truth, n FROM truths ORDER BY target_id, truth
            """
        )
        self.connection.unregister("lacking")
        rows = [
            {
                "target_id": name,
                "by_row": bool(part["by_row"].iloc[0]),
                "reference": scoring.l_ref(np.repeat(part["truth"].to_numpy(np.float64), part["n"].to_numpy(np.int64))),
            }
            for name, part in found.groupby("target_id", sort=True)
        ]
        return pd.DataFrame(rows, columns=pd.Index(["target_id", "by_row", "reference"])).set_index("target_id")

    def settled(self, references: pd.DataFrame) -> bool:
        """Whether the checked rows stand as they are: none contradicts another, and each holds its target's l_ref."""
        self.connection.register("reference", references)
        if not self.stands or (references["reason"] != "").any():
            return False
        (off,) = self.one(
            "SELECT count(*) FROM checked JOIN reference USING (target_id) "
            "WHERE l_ref IS DISTINCT FROM reference.reference"
        )
        return not off

    def settle(self, references: pd.DataFrame, into: Path) -> Iterator[pd.DataFrame]:
        """Write the rows that stand, with their l_ref; yields those that have none, with `reason`."""
        stands = self.connection.sql(
            "SELECT standing.* REPLACE (reference.reference AS l_ref) FROM standing JOIN reference USING (target_id) "
            "WHERE reference.reason = ''"
        )
        stands.write_parquet(str(into), compression="lz4")
        yield from self._rows(
            "SELECT standing.*, reference.reason FROM standing JOIN reference USING (target_id) "
            "WHERE reference.reason <> '' ORDER BY file, line"
        )

    def close(self) -> None:
        """Let go of everything held."""
        self.connection.close()

    def one(self, query: str) -> Any:
        """The only row of a query."""
        return self.connection.sql(query).fetchall()[0]

    def frame(self, query: str) -> pd.DataFrame:
        """A small result."""
        return pd.DataFrame(self.connection.sql(query).to_arrow_table().to_pandas())

    def _rows(self, query: str, *values: str) -> Iterator[pd.DataFrame]:
        for batch in self.connection.sql(query, params=list(values) or None).to_arrow_reader(50_000):
            yield batch.to_pandas()
