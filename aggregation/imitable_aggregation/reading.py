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
from .errors import TableError
from .sources import Part, Quarantine, find_guesses, input_hash, parts, side_tables
from .tables import GUESSES, SIMULATED

SAME_L_REF = 1e-6
"""Relative difference up to which two reference losses of one target are the same number, rounded."""

PARTS = ("model_id", "kind", "site", "unit")
DTYPES = {"number": "float64", "datetime": "datetime64[us, UTC]"}


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
    guesses = _filled(guesses, targets, notes)
    guesses = _consistent(path, guesses, quarantine)
    guesses = _with_l_ref(path, guesses, targets, quarantine, notes)
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


def target_parts(target: str) -> tuple[str, str, str, str]:
    """Model, kind, site and unit of a target id, read from the right; empty where it does not say."""
    pieces = target.rsplit("/", 2)
    if len(pieces) < 3:
        return "", "", "", ""
    model, site, index = pieces
    first = site.split(".", 1)[0]
    kind = {"mlp": "neuron", "head": "head", "direction": "direction", "probe": "probe", "sae": "latent"}
    return model, kind.get(first, ""), site, index.split(":", 1)[0]


def _filled(guesses: pd.DataFrame, targets: pd.DataFrame | None, notes: list[str]) -> pd.DataFrame:
    """Every column of the contract, with its default where it is missing."""
    frame = guesses
    for name in ("feedback", "answered_at", "seconds", "weight", "activation"):
        ignored = frame.pop(f"ignored {name}") if f"ignored {name}" in frame else None
        if ignored is not None and ignored.any():
            notes.append(f"{int(ignored.sum())} cells of {name} could not be read and were left empty.")
    practice = frame["phase"] == "practice"
    told = frame["feedback"].isin([True]) if "feedback" in frame else practice
    unsaid = frame["feedback"].isna() if "feedback" in frame else practice
    frame["feedback"] = np.where(unsaid, practice, told).astype(bool)
    pair = frame["annotator_id"] + " × " + frame["target_id"]
    frame["episode_id"] = frame["episode_id"].fillna(pair) if "episode_id" in frame else pair
    frame["level"] = frame["level"].fillna("text") if "level" in frame else "text"
    frame["level"] = frame["level"].astype("str")
    frame["trial"] = frame["trial"].astype("int64")
    if targets is not None:
        known = targets.set_index("target_id")
        for name in ("model_id", "kind", "site", "unit", "selected_by"):
            if name in known:
                told_by = frame["target_id"].map(known[name])
                frame[name] = (frame[name].fillna(told_by) if name in frame else told_by).astype("str")
    ids = pd.Index(frame["target_id"].unique())
    pieces = pd.DataFrame([target_parts(str(t)) for t in ids], index=ids, columns=pd.Index(PARTS))
    for name in PARTS:
        told_by = frame["target_id"].map(pieces[name].replace("", None))
        frame[name] = (frame[name].fillna(told_by) if name in frame else told_by).astype("str")
    for column in GUESSES.columns:
        if column.name not in frame and column.name != "l_ref":
            frame[column.name] = pd.Series(None, index=frame.index, dtype=DTYPES.get(column.type, "str"))
    return frame


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
    _set_aside(path, frame[mixed], "its episode_id belongs to another annotator or target", quarantine)
    frame = frame[~mixed]
    twice = frame.duplicated(["episode_id", "trial"], keep="first")
    _set_aside(path, frame[twice], "an earlier row already holds this episode_id and trial", quarantine)
    return frame[~twice].sort_values("line", kind="stable")


def _set_aside(path: Path, rows: pd.DataFrame, reason: str, quarantine: Quarantine) -> None:
    names = [column.name for column in GUESSES.columns if column.name in rows]
    for line, values in zip(rows["line"], rows[names].itertuples(index=False), strict=True):
        text = ",".join("" if pd.isna(value) else str(value) for value in values)
        quarantine.add(path, [Spoiled(int(line), text, reason)])


def _with_l_ref(
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
    _set_aside(path, frame[lost], reason if flat else "its target has no counted row to derive l_ref from", quarantine)
    return frame[~lost]


def _derived(frame: pd.DataFrame) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, rows in frame.groupby("target_id", sort=True):
        items = rows["item_id"]
        once = ~items.duplicated() if not items.isna().any() else pd.Series(True, index=rows.index)
        found[str(name)] = scoring.l_ref(np.sort(rows.loc[once, "truth"].to_numpy()))
    return found


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
