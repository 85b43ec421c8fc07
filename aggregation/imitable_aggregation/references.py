"""One reference loss (`l_ref`) for each target: as given, as in targets.csv, or derived from the truths shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from . import scoring
from .errors import TableError
from .sources import Quarantine, set_aside

SAME_L_REF = 1e-6
"""Relative difference up to which two reference losses of one target are the same number, rounded."""


def with_l_ref(
    path: Path, frame: pd.DataFrame, targets: pd.DataFrame | None, quarantine: Quarantine, notes: list[str]
) -> pd.DataFrame:
    """One reference loss a target: as given, as in targets.csv, or derived from the target's truths."""
    if frame.empty:
        return frame
    given = frame["l_ref"] if "l_ref" in frame else pd.Series(np.nan, index=frame.index)
    known = [given.groupby(frame["target_id"])]
    if targets is not None and "l_ref" in targets:
        beside = targets[targets["l_ref"] > 0]
        known.append(beside["l_ref"].groupby(beside["target_id"]))
    ends = pd.concat([group.agg(["min", "max"]) for group in known]).groupby(level=0).agg({"min": "min", "max": "max"})
    ends = ends[ends["min"].notna()]
    two = ends[(ends["max"] - ends["min"]) > SAME_L_REF * ends["max"]]
    if len(two):
        name, row = two.index[0], two.iloc[0]
        raise TableError(
            f"{name} has two l_ref, {row['min']:.6g} and {row['max']:.6g}",
            remedy="keep the one that its guesses were scored with",
            file=path,
            field="l_ref",
        )
    reference = ends["min"].to_dict()
    derived = _derived(frame[~frame["target_id"].isin(list(reference)) & (frame["phase"] != "check")])
    flat = [name for name, value in derived.items() if not value > 0]
    reference |= {name: value for name, value in derived.items() if value > 0}
    if derived:
        per_row = frame.loc[frame["target_id"].isin(list(derived)), "item_id"].isna().any()
        how = "from every row of the target" if per_row else "from the target's rows, one truth for each item"
        notes.append(f"l_ref was derived {how}, for {len(derived)} of {frame['target_id'].nunique()} targets.")
    low = sorted(str(name) for name, value in reference.items() if value < scoring.FLATTEST_L_REF)
    if low:
        notes.append(
            f"{len(low)} targets are very flat (l_ref below {scoring.FLATTEST_L_REF:g}), so that skill there is"
            f" noisy: {', '.join(low[:5])}{' …' if len(low) > 5 else ''}."
        )
    frame = frame.assign(l_ref=frame["target_id"].map(reference).astype("float64"))
    lost = frame["l_ref"].isna()
    reason = "its target's truths are all equal, so no l_ref can be derived"
    set_aside(path, frame[lost], reason if flat else "its target has no counted row to derive l_ref from", quarantine)
    return frame[~lost]


def _derived(frame: pd.DataFrame) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, rows in frame.groupby("target_id", sort=True):
        items = rows["item_id"]
        once = ~items.duplicated() if not items.isna().any() else pd.Series(True, index=rows.index)
        found[str(name)] = scoring.l_ref(np.sort(rows.loc[once, "truth"].to_numpy()))
    return found
