"""What a guess is taken to say where its table leaves a column out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .tables import GUESSES

PARTS = ("model_id", "kind", "site", "unit")
DTYPES = {"number": "float64", "datetime": "datetime64[us, UTC]"}


def target_parts(target: str) -> tuple[str, str, str, str]:
    """Model, kind, site and unit of a target id, read from the right; empty where it does not say."""
    pieces = target.rsplit("/", 2)
    if len(pieces) < 3:
        return "", "", "", ""
    model, site, index = pieces
    first = site.split(".", 1)[0]
    kind = {"mlp": "neuron", "head": "head", "direction": "direction", "probe": "probe", "sae": "latent"}
    return model, kind.get(first, ""), site, index.split(":", 1)[0]


def filled(guesses: pd.DataFrame, targets: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every column of the contract, with its default where it is missing."""
    frame = guesses.copy()
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
        if column.name not in frame:
            frame[column.name] = pd.Series(None, index=frame.index, dtype=DTYPES.get(column.type, "str"))
    return frame
