"""What is odd about an annotator's play, in a sentence that a researcher can act on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from .anomaly import FEATURES
from .impostors import KINDS
from .regressions import Sums
from .symmetric import Floats
from .tables import SIMULATED

Flags = npt.NDArray[np.bool_]

FEWEST = 10
"""Guesses below which nothing is said about how somebody plays."""
HARDLY = 0.25
"""Standard deviation of guesses within an episode, tenths of the scale, below which answers hardly vary."""
REPEATING = 0.6
"""Share of rounds that repeat the last truth (and 0.3 more than is usual) from which it is said."""
HASTY = 1.0
"""Median seconds below which nobody can have read the text."""
RARE = 2.0
"""Anomaly from which it is said: one in a hundred."""
CLEARLY = 0.1
"""Skill that others need on the same targets before it is said of somebody that he has none."""
UNSTEADY = 2.0
"""How many times as far as usual, and how many tenths of the scale at least, answers to one item differ if told."""

ODD = {
    "bias": ("guesses lower than others on the same targets", "guesses higher than others on the same targets"),
    "slope": ("follows the truth less than others", "follows the truth more than others"),
    "pull": ("follows the mean of the truths so far less than others", "follows the mean of the truths so far more"),
    "scatter": ("guesses scatter less than others' on the same targets", "guesses scatter more widely than others'"),
    "skill": ("worse than others on the same targets", "better than others on the same targets"),
    "evenness": ("a few large errors among small ones", "errors are nearly all of one size"),
}
"""What a feature far below, and far above, the usual means."""


@dataclass(frozen=True)
class _Measured:
    """What sentences quote, of every annotator, (A,); `usual_` is what others do on the same targets."""

    n: Floats
    targets: Floats
    slope: Floats
    usual_slope: Floats
    spread: Floats
    usual_spread: Floats
    to_truth: Floats
    usual_to_truth: Floats
    to_last: Floats
    to_mean: Floats
    programs: Flags
    usual_skill: Floats
    hopeless: Flags
    """Skill below 0 by more than two standard errors, where others' is above `CLEARLY`."""


def sentences(
    episodes: pd.DataFrame,
    people: pd.DataFrame,
    data: Sums,
    *,
    earnest: Flags,
    kind: npt.NDArray[np.int64],
    spared: Flags,
    anomaly: Floats,
    features: Floats,
) -> list[str | None]:
    """A sentence for every annotator, (A,), or None where nothing is odd.

    `kind` numbers the most likely of `impostors.KINDS`, quoted where an annotator is not `earnest`; `spared` are those
    who are not and yet stay, because they played too little. `people` is in the annotators' order and may lack columns.
    """
    m = _measured(episodes, data, earnest)
    enough = m.n >= FEWEST
    same, median, fast, repeats, gap = (
        people[name].to_numpy(np.float64) if name in people else np.full(data.annotators, np.nan)
        for name in ("same_last", "median_seconds", "fast", "repeats", "repeat_gap")
    )
    repeating = (same > REPEATING) & (same > _middle(same) + 0.3)
    flat = (m.spread < HARDLY) & (m.usual_spread > 3 * HARDLY)
    hasty = ((median < HASTY) | (fast > 0.5)) & ~m.programs
    usual_gap = _middle(np.where(repeats >= 1, gap, np.nan))
    unsteady = (repeats >= 3) & (gap > max(UNSTEADY, UNSTEADY * usual_gap))
    strange = (anomaly >= RARE) & earnest
    found: list[str | None] = [None] * data.annotators
    odd = flat | repeating | hasty | unsteady | strange | m.hopeless
    for at in np.flatnonzero(enough & (odd | ~earnest)):
        lines = []
        said = KINDS[kind[at]] if not earnest[at] else ""
        if said:
            lines.append(_class(said, m, int(at), float(same[at])))
        if flat[at] and said != "constant":
            lines.append(_class("constant", m, int(at), 0.0))
        if repeating[at] and said != "copies":
            lines.append(f"repeats the last truth in {100 * same[at]:.0f} % of rounds")
        if strange[at]:
            lines.append(_strange(float(anomaly[at]), features[:, at]))
        if m.hopeless[at] and not said:
            lines.append(f"no better than a constant guess, where others' skill is {m.usual_skill[at]:.2f}")
        if hasty[at]:
            lines.append(_haste(float(median[at]), float(fast[at])))
        if unsteady[at]:
            often = f"{int(repeats[at])} times that an item came back"
            lines.append(f"answers differ by {gap[at]:.1f} the {often}, others' by {usual_gap:.1f}")
        if spared[at]:
            lines.append("too little was played to leave this annotator out")
        found[at] = "; ".join(lines)
    return found


def _class(kind: str, m: _Measured, at: int, same: float) -> str:
    over = f"over {m.n[at]:.0f} guesses on {m.targets[at]:.0f} target{'s' if m.targets[at] > 1 else ''}"
    slope = f"slope {m.slope[at]:.2f} where others have {m.usual_slope[at]:.2f}".replace("-0.00", "0.00")
    away = f"{m.to_truth[at]:.2f} away where others are {m.usual_to_truth[at]:.2f} away"
    if kind == "constant":
        apart = f"they differ by {m.spread[at]:.2f} within an episode where others' differ by {m.usual_spread[at]:.2f}"
        return f"answers hardly vary: {apart}, {over}"
    if kind == "copies":
        how = f"in {100 * same:.0f} % of rounds" if same > 0.3 else f"to within {m.to_last[at]:.2f}"
        return f"repeats the last truth {how}, {over}"
    if kind == "running":
        return f"answers the mean of the truths so far to within {m.to_mean[at]:.2f}, not the truth: {slope}, {over}"
    if kind == "leaks":
        return f"answers the truth from the first round on: {away}, {over}"
    if m.slope[at] < 0.5 * m.usual_slope[at] or m.slope[at] < 0.1:
        return f"answers do not follow the truth: {slope}, {over}"
    return f"answers as far from the truth as chance: {away}, {over}"


def _strange(anomaly: float, features: Floats) -> str:
    name = int(np.argmax(np.abs(features)))
    rarity = f"{10 ** min(anomaly, 6.0):,.0f}"
    return f"plays unlike the others (one in {rarity} is as far out): {ODD[FEATURES[name]][int(features[name] > 0)]}"


def _haste(median: float, fast: float) -> str:
    if median < HASTY:
        return f"answers faster than the text can be read: median {median:.1f} s"
    return f"answers faster than the text can be read: {100 * fast:.0f} % within a second"


def _measured(episodes: pd.DataFrame, data: Sums, earnest: Flags) -> _Measured:
    of, n, total = data.of, data.n, data.by_annotator
    among = earnest[data.annotator].astype(np.float64)
    rounds = total(n)

    def usual(above: Floats, below: Floats, weight: Floats) -> Floats:
        """Ratio of sums over others in earnest on the same cells, averaged as the annotator played; own without any."""
        rest_above = data.by_cell(above * among)[data.cell] - above * among
        rest_below = data.by_cell(below * among)[data.cell] - below * among
        alone = rest_below <= 1e-9
        there = np.where(alone, 0.0, weight)
        ratio = np.divide(rest_above, rest_below, out=np.zeros_like(n), where=~alone)
        everybody = float((above * among).sum()) / max(float((below * among).sum()), 1e-9)
        return _ratio(total(there * ratio), total(there), everybody)

    count = np.maximum(n, 1.0)
    zz = np.maximum(of["zz"] - of["z"] ** 2 / count, 0.0)
    gz = of["gz"] - of["g"] * of["z"] / count
    gg = np.maximum(of["gg"] - of["g"] ** 2 / count, 0.0)
    away = np.maximum(of["gg"] - 2 * of["gz"] + of["zz"], 0.0)
    last = np.maximum(of["t_gg"] - 2 * of["t_gc"] + of["t_cc"], 0.0)
    mean = np.maximum(of["t_gg"] - 2 * of["t_gm"] + of["t_mm"], 0.0)
    skill, squares = total(episodes["y"]) / rounds, total(episodes["yy"]) / rounds
    error = np.sqrt(np.maximum(squares - skill**2, 0.0) / np.maximum(rounds - 1, 1.0))
    usual_skill = usual(episodes["y"].to_numpy(np.float64), n, n)
    programs = total(episodes["platform"].ne(SIMULATED).to_numpy(dtype=np.float64)) == 0
    pairs = episodes[["annotator_id", "target_id"]].drop_duplicates()["annotator_id"]
    targets = pairs.value_counts().sort_index().to_numpy().astype(np.float64)
    return _Measured(
        n=rounds,
        targets=targets,
        slope=_ratio(total(gz), total(zz), 0.0),
        usual_slope=usual(gz, zz, zz),
        spread=np.sqrt(_ratio(total(gg), total(n - 1), np.inf)),
        usual_spread=np.sqrt(usual(gg, n - 1, n)),
        to_truth=np.sqrt(total(away) / rounds),
        usual_to_truth=np.sqrt(usual(away, n, n)),
        to_last=np.sqrt(_ratio(total(last), total(data.told), np.inf)),
        to_mean=np.sqrt(_ratio(total(mean), total(data.told), np.inf)),
        programs=programs,
        usual_skill=usual_skill,
        hopeless=(skill + 2 * error < 0) & (usual_skill > CLEARLY),
    )


def _ratio(above: Floats, below: Floats, otherwise: float) -> Floats:
    some = below > 1e-9
    return np.where(some, above / np.where(some, below, 1.0), otherwise)


def _middle(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0
