"""Ways to rank targets from guesses: ours, and what else one would take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

Floats = npt.NDArray[np.float64]

Z = 1.6448536269514722
"""Half-width of a 90 % normal interval, in standard deviations."""
DRAWS = 400


@dataclass
class Found:
    """What a method says. Frames and series are indexed by target_id or annotator_id."""

    value: pd.Series
    """Imitability, or whatever stands for it in the order."""
    sd: pd.Series | None = None
    """Its standard deviation, where the method knows."""
    ranks: pd.DataFrame | None = None
    """`low, high`: 90 % rank intervals."""
    start: pd.DataFrame | None = None
    """`value, sd` before any feedback."""
    people: pd.Series | None = None
    """Skill of annotators."""
    excluded: list[str] = field(default_factory=list)
    cpu: float = 0.0
    note: str = ""


Method = Callable[[pd.DataFrame], Found]


def timed(method: Method, guesses: pd.DataFrame) -> Found:
    """Run a method; CPU seconds of this process."""
    began = time.process_time()
    found = method(guesses)
    found.cpu = time.process_time() - began
    return found


def ours(*, conduct: bool = True, correlated: bool = True) -> Method:
    """imitable: statistics, conduct, the fit, ranks. The rows are in memory already, as they are for the others."""

    def run(guesses: pd.DataFrame) -> Found:
        from imitable_aggregation.conduct import judge
        from imitable_aggregation.defaults import filled
        from imitable_aggregation.model import fit
        from imitable_aggregation.statistics import collect

        statistics = collect(filled(guesses))
        episodes, excluded = statistics.episodes, []
        if conduct:
            verdict = judge(episodes, statistics.people)
            excluded = sorted(verdict.index[verdict["excluded"]])
            episodes = episodes[~episodes["annotator_id"].isin(excluded)]
        fitted = fit(episodes, statistics.items(excluded), statistics.knots, correlated=correlated)
        table = fitted.targets
        return Found(
            value=table["imitability"],
            sd=table["imitability_sd"],
            ranks=ranks_of(fitted.samples["held_out"], fitted.target_ids),
            start=table[["start", "start_sd"]].set_axis(["value", "sd"], axis=1),
            people=fitted.people["skill"],
            excluded=excluded,
        )

    return run


def held_out_means(guesses: pd.DataFrame) -> Found:
    """Mean skill of the held-out guesses; guesses are taken as independent."""
    return _means(guesses[guesses["phase"] == "held_out"], guesses)


def all_means(guesses: pd.DataFrame) -> Found:
    """Mean skill of all guesses."""
    return _means(guesses, guesses)


def _means(rows: pd.DataFrame, guesses: pd.DataFrame) -> Found:
    skill = skills(rows)
    groups = skill.groupby(rows["target_id"])
    value, sd = groups.mean(), groups.std() / np.sqrt(groups.size())
    people = skills(guesses).groupby(guesses["annotator_id"]).mean()
    return Found(value, sd, _drawn_ranks(value, sd), people=people)


def clustered(guesses: pd.DataFrame) -> Found:
    """Mean over episodes of their held-out means, with a t interval over episodes."""
    value, sd, n = _by_episode(guesses)
    wider = sd * stats.t.ppf(0.95, np.maximum(n - 1, 1)) / Z
    return Found(value, wider, _drawn_ranks(value, wider))


def marginal_rank_sets(guesses: pd.DataFrame) -> Found:
    """Marginal confidence sets for ranks (Mogstad, Romano, Shaikh & Wilhelm, Inference for ranks, 2024).

    A target's rank set follows from simultaneous 90 % intervals of its differences to all others, here by a normal
    simulation from clustered means.
    """
    value, sd, _ = _by_episode(guesses)
    x, s = value.to_numpy(), np.maximum(sd.fillna(sd.median()).to_numpy(), 1e-6)
    noise = np.random.default_rng(0).standard_normal((1000, len(x))) * s
    low, high = np.empty(len(x), int), np.empty(len(x), int)
    for at in range(len(x)):
        scale = np.sqrt(s[at] ** 2 + s**2)
        others = np.arange(len(x)) != at
        far = (np.abs(noise[:, [at]] - noise) / scale)[:, others].max(axis=1)
        reach = np.quantile(far, 0.9) * scale
        low[at] = 1 + int(((x - x[at] > reach) & others).sum())
        high[at] = len(x) - int(((x[at] - x > reach) & others).sum())
    return Found(value, sd, pd.DataFrame({"low": low, "high": high}, index=value.index))


def correlation(*, held_out: bool) -> Method:
    """Correlation of guesses with truths, as neuron-explainer scores explanations; intervals by Fisher's z."""

    def run(guesses: pd.DataFrame) -> Found:
        rows = guesses[guesses["phase"] == "held_out"] if held_out else guesses
        value = pd.Series(
            {
                name: np.corrcoef(part["guess"], part["truth"])[0, 1]
                for name, part in rows.groupby("target_id")[["guess", "truth"]]
            }
        ).fillna(0.0)
        return Found(value)

    return run


def openskill(guesses: pd.DataFrame) -> Found:
    """OpenSkill: an annotator plays a match against a target in every round; who beats the constant guess wins."""
    from openskill.models import PlackettLuce

    model = PlackettLuce()
    people: dict[str, Any] = {}
    targets: dict[str, Any] = {}
    rows = guesses[guesses["phase"] == "held_out"]
    for who, what, skill in zip(rows["annotator_id"], rows["target_id"], skills(rows), strict=True):
        a, t = people.get(who) or model.rating(), targets.get(what) or model.rating()
        (a,), (t,) = model.rate([[a], [t]], ranks=[1, 2] if skill > 0 else [2, 1])
        people[who], targets[what] = a, t
    value = -pd.Series({name: rating.mu for name, rating in targets.items()})
    sd = pd.Series({name: rating.sigma for name, rating in targets.items()})
    return Found(value, None, _drawn_ranks(value, sd), people=pd.Series({n: r.mu for n, r in people.items()}))


def mixedlm(guesses: pd.DataFrame) -> Found:
    """mixedlm, an lme4 for Python: the same knots, with random effects of targets, annotators and episodes."""
    import warnings

    import mixedlm as library

    rows = knotted(guesses)
    x = "0 + x0 + x1 + x2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = library.lmer(f"y ~ {x} + ({x} | target_id) + ({x} | annotator_id) + ({x} | episode_id)", rows)
    effects = fitted.ranef()
    ids = sorted(rows["target_id"].unique())
    value = pd.Series(np.asarray(effects["target_id"]["x2"]), index=ids)
    people = pd.Series(np.asarray(effects["annotator_id"]["x2"]), index=sorted(rows["annotator_id"].unique()))
    return Found(value, people=people)


def knotted(guesses: pd.DataFrame) -> pd.DataFrame:
    """Skill with the three knots that the model uses."""
    last = float((guesses["phase"] == "practice").groupby(guesses["episode_id"]).sum().mode().max())
    seen = np.where(guesses["phase"] == "practice", np.minimum(guesses["trial"] - 1, last), last).astype(float)
    knots = {f"x{at}": np.interp(seen, [0.0, 3.0, last], row) for at, row in enumerate(np.eye(3))}
    return pd.DataFrame(
        {"y": skills(guesses), **knots, **{n: guesses[n] for n in ("target_id", "annotator_id", "episode_id")}}
    )


def skills(rows: pd.DataFrame) -> pd.Series:
    """Skill of every guess."""
    return 1 - (rows["guess"] - rows["truth"]).abs() / rows["l_ref"]


def ranks_of(draws: Floats, ids: list[str]) -> pd.DataFrame:
    """90 % rank intervals from joint draws, (draws, targets)."""
    ranks = (-draws).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable") + 1
    low, high = (np.quantile(ranks, q, axis=0, method=m) for q, m in ((0.05, "lower"), (0.95, "higher")))
    return pd.DataFrame({"low": low, "high": high}, index=ids)


def _drawn_ranks(value: pd.Series, sd: pd.Series) -> pd.DataFrame:
    known = sd.fillna(sd.median()).to_numpy()
    draws = value.to_numpy() + known * np.random.default_rng(0).standard_normal((DRAWS, len(value)))
    return ranks_of(draws, list(value.index))


def _by_episode(guesses: pd.DataFrame) -> tuple[pd.Series, pd.Series, pd.Series]:
    rows = guesses[guesses["phase"] == "held_out"]
    means = skills(rows).groupby([rows["target_id"], rows["episode_id"]]).mean().groupby(level=0)
    n = means.size()
    return means.mean(), means.std() / np.sqrt(n), n
