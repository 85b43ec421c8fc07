"""The report's words: what was found and how sure it is, without more certainty than the intervals have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .baselines import above, below, best_player
from .findings import Findings
from .ranking import EASY, LEARNABLE

SURE = 0.9
"""Probability from which the report calls something so."""
WIDE = 0.25
"""Share of all ranks that an interval spans from which on a ranking is read as groups."""
TAU_DRAWS = 50
"""Draws that the expected agreement with the true order is taken from."""
FEW = 5
"""Targets, or annotators, below which the variances between them are mostly those assumed beforehand."""
LINKED = 0.15
"""Slope of annotators' skill on their targets' ease from which on assignment is said to follow skill."""


def skill(value: float) -> str:
    """A skill as it is printed: two decimals and a true minus sign; a dash where there is none."""
    return "–" if pd.isna(value) else f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def per_cent(share: float) -> str:
    """A share as whole per cent, the sign never alone on a line; what is not 0 is never printed as 0."""
    return "under 1\N{NO-BREAK SPACE}%" if 0 < share < 0.005 else f"{share:.0%}".replace("%", "\N{NO-BREAK SPACE}%")


def counted(n: int, one: str, more: str = "s") -> str:
    """`1 target`, `1,200 targets`."""
    return f"{n:,} {one}{'' if n == 1 else more}"


def between(row: Mapping[str, Any] | pd.Series[Any], name: str) -> str:
    """`0.41 (0.30 to 0.52)`."""
    return f"{skill(row[name])} ({skill(row[f'{name}_low'])} to {skill(row[f'{name}_high'])})"


def findings(f: Findings) -> list[str]:
    """The first paragraph."""
    ranking, annotators = f.ranking, f.annotators
    told = [
        f"{counted(len(annotators), 'annotator')} made {counted(int(annotators['n_guesses'].sum()), 'guess', 'es')}"
        f" in {counted(int(annotators['n_episodes'].sum()), 'episode')} on {counted(len(ranking), 'target')}"
        + _left_out(f.excluded)
    ]
    told += [*_beaten(ranking, f.coverage), *_called(ranking), *_beside_players(f), *_order(f)]
    if f.crowd is not None and len(f.crowd.curve) > 1:
        told.append(_crowd_in_short(f.crowd.curve))
    return told


def _left_out(n: int) -> str:
    if not n:
        return "."
    return f"; {n:,} who {'does' if n == 1 else 'do'} not seem to play in earnest {_were(n)} left out."


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _beaten(ranking: pd.DataFrame, coverage: float) -> list[str]:
    n, best = len(ranking), ranking.iloc[0]
    above, below = int((ranking["imitability_low"] > 0).sum()), int((ranking["imitability_high"] < 0).sum())
    unsettled = n - above - below
    top = (
        f" {best['target_id']}{'' if n == 1 else ', the most imitable,'} reaches a held-out skill of"
        f" {between(best, 'imitability')}, where 1 is exact."
    )
    if n == 1:
        how = "beat" if above else "do worse than" if below else "may or may not beat"
        return [f"Annotators {how} the best constant guess ({per_cent(coverage)} interval)." + top]
    parts = [f"On {_which(above, n)} annotators beat the best constant guess"]
    if below:
        parts.append(f"on {below:,} they do worse")
    if unsettled:
        parts.append(f"on {unsettled:,} the data leave it open")
    return [f"{', '.join(parts)} ({per_cent(coverage)} intervals).{top}"]


def _which(count: int, of: int) -> str:
    return "every target" if count == of else "no target" if count == 0 else counted(count, "target")


def _called(ranking: pd.DataFrame) -> list[str]:
    if not ranking["start"].notna().any():
        return []
    easy, learned = int((ranking["p_easy"] > SURE).sum()), int((ranking["p_learnable"] > SURE).sum())
    return [
        f"With at least {per_cent(SURE)} probability each, {easy:,} {'is' if easy == 1 else 'are'} easy from the start"
        f" (start above {EASY:g}) and {learned:,} {'is' if learned == 1 else 'are'} learnable (gain above"
        f" {LEARNABLE:g})."
    ]


def _beside_players(f: Findings) -> list[str]:
    """Which targets are imitated better than automatic players imitate them: the interesting ones."""
    ranking, best = f.ranking, best_player(f.ranking)
    if best is None:
        return []
    over, under = above(ranking, best), below(ranking, best)
    n, more = len(best), int(over.sum())
    told = f"On {_which(more, n)} annotators do better than the best automatic player"
    if more:
        ahead = (ranking.loc[best.index, "imitability"] - best["skill"])[over]
        most = ahead.idxmax()
        told += (
            f"; {'these are' if more > 1 else 'it is'} the interesting{' ones' if more > 1 else ' one'}"
            f"{', above all' if more > 1 else ','} {ranking.loc[most, 'target_id']}"
            f" ({skill(ranking.loc[most, 'imitability'])} where {best.loc[most, 'player']} reaches"
            f" {skill(best.loc[most, 'skill'])})"
        )
    return [f"{told}. On {_which(int(under.sum()), n)} the player does better ({per_cent(f.coverage)} intervals)."]


def _order(f: Findings) -> list[str]:
    ranking, n = f.ranking, len(f.ranking)
    if n < 2:
        return []
    width = float((ranking["rank_high"] - ranking["rank_low"] + 1).median())
    told = [
        f"How sure is the order? A typical rank interval spans {width:,.0f} of {n:,} ranks"
        f"{': read it as groups, not as a list' if width > WIDE * n else ''}."
    ]
    if "tie_group" in ranking:
        groups, top = int(ranking["tie_group"].nunique()), int((ranking["tie_group"] == 1).sum())
        if groups > 1:
            told.append(f"{groups:,} groups of targets can be told apart; the top one holds {top:,}.")
        else:
            told.append("No target can be told apart from the first: by these data they are one group.")
    tau = expected_tau(f)
    if np.isfinite(tau):
        told.append(f"As a whole, the order is expected to agree with the true one at a Kendall’s tau of {skill(tau)}.")
    return told


def expected_tau(f: Findings) -> float:
    """Mean Kendall's tau between the reported order and draws of the true one, -1 to 1; nan without draws."""
    draws = f.samples.get("held_out")
    if draws is None or draws.shape[1] < 2:
        return float("nan")
    at = pd.Index(f.target_ids).get_indexer(pd.Index(f.ranking["target_id"]))
    order = -np.arange(len(at))
    some = draws[: TAU_DRAWS * (len(draws) // TAU_DRAWS) or len(draws) : max(1, len(draws) // TAU_DRAWS)][:, at]
    return float(np.mean([stats.kendalltau(order, draw).statistic for draw in some]))


def _crowd_in_short(curve: pd.DataFrame) -> str:
    one, last = curve.iloc[0], curve.iloc[-1]
    return (
        f"Pooled, guesses are worth more: {counted(int(last['size']), 'guess', 'es')} on an item reach a skill of"
        f" {skill(last['skill'])} ({skill(last['low'])} to {skill(last['high'])}); the plain mean of as many, nobody"
        f" left out, {skill(last['plain'])}; a single guess as it stands {skill(one['plain'])}."
    )


def crowd(f: Findings) -> list[str]:
    """What the pool is, and whether its intervals hold."""
    if f.crowd is None or f.crowd.items.empty:
        return []
    items = f.crowd.items
    inside = float(items["truth"].between(items["crowd_low"], items["crowd_high"]).mean())
    each = float(items["n_guesses"].mean())
    return [
        f"On {counted(len(items), 'held-out item')} with {each:.1f} guesses each on average, the pool reaches a skill"
        f" of {skill(f.crowd.skill)}; the plain mean of all guesses on them {skill(f.crowd.plain)}.",
        f"{per_cent(inside)} of the truths lie inside the crowd’s {per_cent(f.coverage)} intervals.",
    ]


def excluded(f: Findings) -> list[str]:
    """Who is left out and what that does, since it selects on what was answered."""
    if not f.excluded:
        return ["Nobody is left out of the fit."]
    out = f.annotators[f.annotators["excluded"]]
    guesses = float(out["n_guesses"].sum() / f.annotators["n_guesses"].sum())
    classes = out["bad_class"].dropna().value_counts()
    kinds = ", ".join(f"{n} {name}" for name, n in sorted(classes.items(), key=lambda pair: (-pair[1], str(pair[0]))))
    told = [
        f"{counted(f.excluded, 'annotator')} ({per_cent(guesses)} of all guesses) {_were(f.excluded)} left out of the"
        + " fit"
        + (f": {kinds}." if kinds else ".")
    ]
    if f.influence is not None:
        told.append(
            "Leaving people out by how they play could favour a result: the rankings with and without them agree at a"
            f" Kendall’s tau of {skill(f.influence.tau)}."
        )
        share = f.influence.share
        if len(share):
            most = str(share.idxmax())
            told.append(
                f"Of a target’s episodes {per_cent(float(share.mean()))} are left out on average, at most"
                f" {per_cent(float(share.max()))} ({most})."
            )
    return told


def sources(f: Findings) -> list[str]:
    """Variance components in words."""
    parts = f.components
    if not parts or "target" not in parts:
        return []
    target, annotator, episode = (
        float(np.sqrt(np.asarray(parts[name], dtype=np.float64)[-1][-1])) for name in ("target", "annotator", "episode")
    )
    noise, item = (float(np.sqrt(parts.get(name, 0.0))) for name in ("noise", "item"))
    told = [
        f"At the end of the learning curve, targets differ in skill with a standard deviation of {skill(target)},"
        f" annotators with one of {skill(annotator)}, and how a particular annotator fares on a particular target adds"
        f" {skill(episode)}. Single guesses scatter by {skill(noise)} about that"
        + (f", of which {skill(item)} goes with the item." if item > 0 else ".")
    ]
    few = [
        counted(n, name)
        for name, n in (("target", len(f.ranking)), ("annotator", len(f.annotators) - f.excluded))
        if n < FEW
    ]
    if few:
        told.append(f"With {' and '.join(few)}, these numbers are mostly what was assumed beforehand, not a finding.")
    gamma = np.asarray(parts.get("gamma", [[0.0]]), dtype=np.float64)
    slope = float(gamma[-1].sum())
    if slope < -LINKED:
        told.append("More skilled annotators met harder targets; the ranking allows for that.")
    elif slope > LINKED:
        told.append("More skilled annotators met easier targets; the ranking allows for that.")
    return told
