"""How near a ranking comes to the truth of a simulated campaign."""

from __future__ import annotations

import numpy as np
import pandas as pd
from aggregation_methods import Floats, Found, Z, skills
from scipy.stats import kendalltau, spearmanr

from imitable_aggregation.simulate import Simulated

EPISODES_FOR_SKILL = 3
"""Episodes from which an annotator's skill is compared with the truth."""


def scores(found: Found, campaign: Simulated) -> dict[str, float]:
    """What a method got right, by name.

    `tau, top`: Kendall's tau of imitability with the truth, and the share of the true top tenth that it has in its own.
    `cover, width`: of 90 % intervals, `rank_cover, rank_width`: of rank intervals, width as a share of all ranks; a
    rank interval covers if it contains the true rank. `start_*` and `gain_*` likewise. `people`: Spearman's correlation
    of annotators' skill. `share_excluded`: of the annotators. `cpu, wall`: seconds. `unranked`: targets without a
    value, which take the mean.
    """
    true = _by_name(campaign.imitability, "sim/mlp.0/")
    start = _by_name(campaign.start, "sim/mlp.0/")
    value = found.value.reindex(true.index)
    value, missing = value.fillna(value.mean()), value.isna()
    top = max(1, round(len(true) / 10))
    said: dict[str, float] = {
        "tau": _tau(value, true),
        "top": len(set(value.nlargest(top).index) & set(true.nlargest(top).index)) / top,
        "cpu": found.cpu,
        "wall": found.wall,
        "unranked": float(missing.sum()),
        "share_excluded": len(found.excluded) / campaign.guesses["annotator_id"].nunique(),
    }
    if found.sd is not None:
        said |= _intervals(found.value, found.sd, true)
    if found.ranks is not None:
        place = true.rank(ascending=False)
        ranks = found.ranks.reindex(true.index)
        said["rank_cover"] = float(((ranks["low"] <= place) & (place <= ranks["high"])).mean())
        said["rank_width"] = float((ranks["high"] - ranks["low"] + 1).mean() / len(true))
    for name, frame, truth in (("start", found.start, start), ("gain", found.gain, true - start)):
        if frame is not None:
            told = frame.reindex(true.index)
            said[f"{name}_tau"] = _tau(told["value"].fillna(told["value"].mean()), truth)
            if "sd" in told:
                said |= {f"{name}_{key}": cell for key, cell in _intervals(told["value"], told["sd"], truth).items()}
    if found.people is not None:
        said["people"] = _people(found.people, campaign)
    return said


def _intervals(value: pd.Series[float], sd: pd.Series[float], true: pd.Series[float]) -> dict[str, float]:
    """A target without an interval counts as not covered, and has no width."""
    value, sd = value.reindex(true.index), sd.reindex(true.index)
    return {"cover": float(((value - true).abs() <= Z * sd).mean()), "width": float((2 * Z * sd).mean())}


def _people(people: pd.Series[float], campaign: Simulated) -> float:
    """Spearman's correlation with true skill, of honest annotators who played enough."""
    skill = _by_name(campaign.skill, "a_")
    rounds = campaign.guesses.groupby("annotator_id")["episode_id"].nunique()
    honest = skill.notna() & (rounds.reindex(skill.index, fill_value=0) >= EPISODES_FOR_SKILL)
    both = pd.DataFrame({"said": people, "true": skill[honest]}).dropna()
    return float(spearmanr(both["said"], both["true"]).statistic)


def _tau(a: pd.Series[float], b: pd.Series[float]) -> float:
    return float(kendalltau(a, b).statistic)


def _by_name(values: Floats, prefix: str) -> pd.Series[float]:
    return pd.Series(values, index=[f"{prefix}{at:06d}" for at in range(len(values))])


def crowd_skill(campaign: Simulated) -> dict[str, float]:
    """Held-out skill of the pooled crowd, and of the mean and median of all guesses on the same items.

    Means over items, computed here from the predictions and guesses alone; `cover` is of the crowd's 90 % intervals.
    """
    from imitable_aggregation.annotators import bias
    from imitable_aggregation.conduct import judge
    from imitable_aggregation.crowd import crowd
    from imitable_aggregation.defaults import filled
    from imitable_aggregation.statistics import collect

    statistics = collect(filled(campaign.guesses))
    verdict = judge(statistics.episodes, statistics.people)
    excluded = set(verdict.index[verdict["excluded"]])
    played = statistics.episodes[~statistics.episodes["annotator_id"].isin(excluded)]
    items = crowd(statistics, excluded, bias(played)).items.reset_index().set_index(["target_id", "item_id"])
    rows = campaign.guesses[campaign.guesses["phase"] == "held_out"]
    by = rows.groupby(["target_id", "item_id"])
    plain = by.agg(
        truth=("truth", "first"), l_ref=("l_ref", "first"), mean=("guess", "mean"), median=("guess", "median")
    )
    plain = plain.loc[plain.index.intersection(items.index)]
    pooled = plain.assign(guess=items["crowd"].reindex(plain.index)).dropna(subset="guess")
    inside = (items["crowd_low"] <= items["truth"]) & (items["truth"] <= items["crowd_high"])
    return {
        "crowd": float(skills(pooled).mean()),
        "plain": float(skills(pooled.assign(guess=pooled["mean"])).mean()),
        "median": float(skills(pooled.assign(guess=pooled["median"])).mean()),
        "single": float(np.mean(skills(rows))),
        "cover": float(inside.mean()),
    }
