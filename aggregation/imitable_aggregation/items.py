"""What guesses on one item share: its variance, and how far shared items widen the interval of a target.

Skill of a guess is taken as  target + annotator + item + noise.  Half the mean squared difference of two guesses of
different annotators on one target is, without bias and without knowing the target's mean,

    on different items:   V_annotator + V_item + V_noise
    on the same item:     V_annotator + V_noise

and the difference is V_item (a U-statistic form of two-way analysis of variance; compare Cameron, Gelbach & Miller,
Robust inference with multiway clustering, 2011). Guesses on items of their own carry V_item as noise already; only
what several annotators share comes on top.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


def item_variance(episodes: pd.DataFrame, items: pd.DataFrame) -> float:
    """Variance between items of one target of the skill that they allow, at least 0; 0 where no item was shared.

    Practice and held-out rounds are compared among themselves, and pooled by how many pairs share an item.
    """
    practice = {"n": "n_practice", "y": "y", "yy": "yy"}
    apart = {name: episodes[name].to_numpy(np.float64) for name in ("n", "y", "yy")}
    held = {"n": episodes["n_held_out"], "y": episodes["h_y"], "yy": episodes["h_yy"]}
    total, pairs = 0.0, 0.0
    ids = pd.Index(sorted(episodes["target_id"].unique()))
    by_episode, by_item = (ids.get_indexer(pd.Index(frame["target_id"])) for frame in (episodes, items))
    for held_out in (False, True):
        e = {k: np.asarray(held[k], np.float64) for k in practice}
        i: dict[str, Floats] = {k: items[f"h_{k}"].to_numpy(np.float64) for k in practice}
        if not held_out:
            e = {k: apart[k] - e[k] for k in practice}
            i = {k: items[k].to_numpy(np.float64) - i[k] for k in practice}
        gap, count = _shared_gap(e, i, by_episode, by_item, len(ids))
        total, pairs = total + gap, pairs + count
    return max(total / pairs, 0.0) if pairs > 0 else 0.0


def _shared_gap(
    e: dict[str, Floats], i: dict[str, Floats], by_episode: npt.NDArray[np.intp], by_item: npt.NDArray[np.intp], n: int
) -> tuple[float, float]:
    """Sum over pairs on the same item of what they differ less than pairs on different items, and their number."""

    def added(of: npt.NDArray[np.intp], values: Floats) -> Floats:
        return np.bincount(of, values, minlength=n).astype(np.float64)

    size, first, second = (added(by_episode, e[k]) for k in ("n", "y", "yy"))
    gaps, pairs = size * second - first**2, size * (size - 1) / 2
    person = added(by_episode, e["n"] * e["yy"] - e["y"] ** 2), added(by_episode, e["n"] * (e["n"] - 1) / 2)
    item = added(by_item, i["n"] * i["yy"] - i["y"] ** 2), added(by_item, i["n"] * (i["n"] - 1) / 2)
    crossed_gaps, crossed = gaps - person[0] - item[0], pairs - person[1] - item[1]
    both = (crossed > 0.5) & (item[1] > 0.5)
    if not both.any():
        return 0.0, 0.0
    less = crossed_gaps[both] / (2 * crossed[both]) - item[0][both] / (2 * item[1][both])
    return float((less * item[1][both]).sum()), float(item[1][both].sum())


def item_excess(episodes: pd.DataFrame, items: pd.DataFrame, target_ids: list[str]) -> Floats:
    """Variance of a target's mean at each knot, in units of V_item, beyond that of as many fresh items: (T, 3)."""
    ids = pd.Index(target_ids)
    by_episode, by_item = (ids.get_indexer(pd.Index(frame["target_id"])) for frame in (episodes, items))
    known = by_item >= 0
    excess = np.zeros((len(ids), 3))
    for knot in range(3):
        weight = items[f"w{knot}"].to_numpy(np.float64)[known]
        total = np.bincount(by_item[known], weight, minlength=len(ids))
        shared = np.bincount(by_item[known], weight**2, minlength=len(ids))
        fresh = np.bincount(by_episode, episodes[f"x{knot}{knot}"].to_numpy(np.float64), minlength=len(ids))
        excess[:, knot] = np.divide(shared - fresh, total**2, out=np.zeros(len(ids)), where=total > 0)
    return np.maximum(excess, 0.0)
