"""Reading guesses: what a researcher or `imitable export` wrote, checked row by row, with every default filled in.

Nothing is silently dropped: a row that cannot be used is in `Reading.quarantine` with its line and a reason, and
every default that could change a result is in `Reading.notes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from . import scoring
from .checks import check_guesses
from .csv_lines import Spoiled
from .defaults import filled, target_parts
from .errors import TableError
from .references import with_l_ref
from .sources import Part, Quarantine, find_guesses, input_hash, parts, set_aside, side_tables
from .tables import GUESSES, SIMULATED


@dataclass(frozen=True)
class Reading:
    """Everything usable in a source, and everything that was not."""

    guesses: pd.DataFrame
    """One row a usable guess, every column of `tables.GUESSES` present, by episode and trial."""
    targets: pd.DataFrame | None
    """targets.csv, where it was there."""
    episodes_played: pd.DataFrame | None
    """episodes_played.csv, where it was there."""
    quarantine: pd.DataFrame
    """file, line, row, reason of every row that could not be used."""
    notes: list[str]
    """What was filled in or ignored, in sentences."""
    simulated: bool
    """Whether any row was played by a program."""
    hash: str
    """SHA-256 of the files read."""
    files: list[str]
    """Names of the files read."""


def read_guesses(source: Path, *, allow_simulated: bool = False) -> Reading:
    """Read a folder written by `imitable export`, or one file of guesses (.csv, .csv.gz, .parquet).

    Raises TableError where the whole cannot be used: a required column is missing, no row is usable, a target has
    two `l_ref`, the truths look like raw activations, or programs and people are mixed without `allow_simulated`.
    """
    path = find_guesses(Path(source))
    folder = path.parent if Path(source).is_dir() else None
    quarantine, notes = Quarantine(), list[str]()
    targets, episodes_played = side_tables(folder, quarantine)
    guesses = _usable(path, targets, quarantine)
    guesses = filled(guesses, targets, notes)
    guesses = _consistent(path, guesses, quarantine)
    guesses = with_l_ref(path, guesses, targets, quarantine, notes)
    if guesses.empty:
        raise TableError("has no usable row", remedy=f"mend {_first(quarantine)}", file=path)
    simulated = _simulated(path, guesses, allow_simulated=allow_simulated)
    order = ["episode_id", "trial"]
    guesses = guesses.sort_values(order, kind="stable").drop(columns="line").reset_index(drop=True)
    names = ("targets.csv", "episodes_played.csv")
    files = [path, *(folder / name for name in names if folder and (folder / name).is_file())]
    return Reading(
        guesses=guesses,
        targets=targets,
        episodes_played=episodes_played,
        quarantine=quarantine.frame(),
        notes=notes,
        simulated=simulated,
        hash=input_hash(files),
        files=[file.name for file in files],
    )


def _first(quarantine: Quarantine) -> str:
    if not quarantine.rows:
        return "the file: it holds a header only"
    file, line, _, reason = min(quarantine.rows, key=lambda row: row[1])
    return f"its rows; the first trouble is in {file}, line {line}: {reason}"


def _usable(path: Path, targets: pd.DataFrame | None, quarantine: Quarantine) -> pd.DataFrame:
    """All rows that pass the checks, with their physical line in the column `line`."""
    polarity: dict[str, str] = {}
    if targets is not None and "polarity" in targets:
        polarity = dict(zip(targets["target_id"], targets["polarity"].fillna(""), strict=True))

    def lowest(target: str, goes_below: bool) -> float:
        side = polarity.get(target) or target.rsplit(":", 1)[-1]
        if side in ("pos", "neg", "both"):
            return scoring.lowest(side)  # type: ignore[arg-type]
        signed = target_parts(target)[1] in ("probe", "direction")
        return -scoring.TOP if signed and goes_below else 0.0

    kept, checked, outside = [], 0, 0
    for part in parts(path, GUESSES, quarantine):
        reasons, out = check_guesses(part.frame, part.bad, part.cells, lowest)
        bad = np.flatnonzero(reasons != "")
        quarantine.add(path, [Spoiled(int(part.lines[at]), part.row(int(at)), reasons[at]) for at in bad])
        outside += int(out.sum())
        checked += int((reasons == "").sum()) + int(out.sum())
        kept.append(_kept(part, reasons == ""))
    if outside > checked / 2:
        raise TableError(
            f"{outside} of {checked} truths lie outside 0 to {scoring.TOP:g}: these look like raw activations",
            remedy="put guess and truth on the display scale (scoring.display), or end the target_id in `:both`"
            " where both sides are played",
            file=path,
            field="truth",
        )
    return pd.concat(kept, ignore_index=True)


def _kept(part: Part, good: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pd.DataFrame:
    frame = part.frame.copy()
    for name in ("seconds", "weight"):
        if name in frame:
            frame[f"ignored {name}"] = part.bad[name] | (frame[name] < 0) | np.isinf(frame[name])
            frame.loc[frame[f"ignored {name}"], name] = np.nan
    for name in ("feedback", "answered_at", "activation"):
        if name in frame:
            frame[f"ignored {name}"] = part.bad[name]
    frame["line"] = part.lines
    return frame[good]


def _consistent(path: Path, frame: pd.DataFrame, quarantine: Quarantine) -> pd.DataFrame:
    """One annotator and one target an episode, and one guess a trial: the first answered, else the first line."""
    frame = frame.sort_values(["answered_at", "line"], na_position="last", kind="stable")
    by_episode = frame.groupby("episode_id", sort=False)
    mixed = np.zeros(len(frame), dtype=bool)
    for name in ("annotator_id", "target_id"):
        mixed |= (frame[name] != by_episode[name].transform("first")).to_numpy()
    if mixed.sum() > len(frame) / 2:
        raise TableError(
            "most episode_id stand for several annotators or targets",
            remedy="make them unique, or leave the column out",
            file=path,
            field="episode_id",
        )
    set_aside(path, frame[mixed], "its episode_id belongs to another annotator or target", quarantine)
    frame = frame[~mixed]
    twice = frame.duplicated(["episode_id", "trial"], keep="first")
    set_aside(path, frame[twice], "an earlier row already holds this episode_id and trial", quarantine)
    return frame[~twice].sort_values("line", kind="stable")


def _simulated(path: Path, frame: pd.DataFrame, *, allow_simulated: bool) -> bool:
    programs = frame["platform"] == SIMULATED
    if programs.any() and not programs.all() and not allow_simulated:
        raise TableError(
            f"{int(programs.sum())} rows of simulated players stand beside {int((~programs).sum())} others",
            remedy="remove the rows with platform = simulated, or pass --allow-simulated",
            file=path,
            field="platform",
        )
    return bool(programs.any())
