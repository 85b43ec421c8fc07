"""How near a ranking comes to the truth of a simulated campaign."""

from __future__ import annotations

import numpy as np
import pandas as pd
from aggregation_methods import Found, Z
from scipy.stats import kendalltau, spearmanr

from imitable_aggregation.simulate import Simulated

EPISODES_FOR_SKILL = 3
"""Episodes from which an annotator's skill is compared with the truth."""


def scores(found: Found, campaign: Simulated) -> dict[str, float]:
    """By name: tau and top-10 % hits; coverage and width of intervals and rank intervals; start, people, seconds."""
    true = _by_name(campaign.imitability, "sim/mlp.0/")
    value = found.value.reindex(true.index)
    missing = value.isna()
    value = value.fillna(value.mean())
    top = max(1, round(len(true) / 10))
    said: dict[str, float] = {
        "tau": _tau(value, true),
        "top": len(set(value.nlargest(top).index) & set(true.nlargest(top).index)) / top,
        "cpu": found.cpu,
        "unranked": float(missing.sum()),
    }
    if found.sd is not None:
        sd = found.sd.reindex(true.index)
        known = sd.notna()
        said["cover"] = float(((value - true).abs() <= Z * sd)[known].mean())
        said["width"] = float((2 * Z * sd)[known].mean())
    if found.ranks is not None:
        place = true.rank(ascending=False)
        ranks = found.ranks.reindex(true.index)
        said["rank_cover"] = float(((ranks["low"] <= place) & (place <= ranks["high"])).mean())
        said["rank_width"] = float((ranks["high"] - ranks["low"] + 1).mean() / len(true))
    if found.start is not None:
        start = _by_name(campaign.start, "sim/mlp.0/")
        told = found.start.reindex(true.index)
        said["start_tau"] = _tau(told["value"].fillna(told["value"].mean()), start)
        said["start_cover"] = float(((told["value"] - start).abs() <= Z * told["sd"]).mean())
    if found.people is not None:
        said["people"] = _people(found, campaign)
    return said


def _people(found: Found, campaign: Simulated) -> float:
    """Spearman's correlation with true skill, of honest annotators who played enough."""
    assert found.people is not None
    skill = _by_name(campaign.skill, "a_")
    rounds = campaign.guesses.groupby("annotator_id")["episode_id"].nunique()
    honest = skill.notna() & (rounds.reindex(skill.index, fill_value=0) >= EPISODES_FOR_SKILL)
    both = pd.DataFrame({"said": found.people, "true": skill[honest]}).dropna()
    return float(spearmanr(both["said"], both["true"]).statistic)


def _tau(a: pd.Series, b: pd.Series) -> float:
    return float(kendalltau(a, b).statistic)


def _by_name(values: np.ndarray, prefix: str) -> pd.Series:
    return pd.Series(values, index=[f"{prefix}{at:06d}" for at in range(len(values))])


def crowd_skill(campaign: Simulated) -> dict[str, float]:
    """Held-out skill of the pooled crowd and of the plain mean of guesses, and what the crowd's intervals cover."""
    from imitable_aggregation.annotators import bias
    from imitable_aggregation.conduct import judge
    from imitable_aggregation.crowd import crowd
    from imitable_aggregation.defaults import filled
    from imitable_aggregation.statistics import collect

    statistics = collect(filled(campaign.guesses))
    verdict = judge(statistics.episodes, statistics.people)
    excluded = set(verdict.index[verdict["excluded"]])
    played = statistics.episodes[~statistics.episodes["annotator_id"].isin(excluded)]
    found = crowd(statistics, excluded, bias(played))
    items = found.items
    inside = (items["crowd_low"] <= items["truth"]) & (items["truth"] <= items["crowd_high"])
    return {"crowd": found.skill, "plain": found.plain, "cover": float(inside.mean())}
