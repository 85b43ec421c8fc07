"""What else one would take to rank targets: means, correlations, OpenSkill, and an lme4 for Python."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from aggregation_methods import Found, Method, Z, independent_ranks, skills
from scipy import stats


def held_out_means(guesses: pd.DataFrame) -> Found:
    """Mean skill of the held-out guesses, taken as independent; start is the mean of the first guesses."""
    found = _means(guesses[guesses["phase"] == "held_out"], guesses)
    first = _means(guesses[guesses["trial"] == 1], guesses)
    assert found.sd is not None
    assert first.sd is not None
    found.start = pd.DataFrame({"value": first.value, "sd": first.sd})
    found.gain = pd.DataFrame({"value": found.value - first.value, "sd": np.hypot(found.sd, first.sd)})
    return found


def all_means(guesses: pd.DataFrame) -> Found:
    """Mean skill of all guesses, taken as independent."""
    return _means(guesses, guesses)


def _means(rows: pd.DataFrame, guesses: pd.DataFrame) -> Found:
    groups = skills(rows).groupby(rows["target_id"])
    value: pd.Series[float] = groups.mean()
    sd: pd.Series[float] = groups.std() / np.sqrt(groups.size())
    people = skills(guesses).groupby(guesses["annotator_id"]).mean()
    return Found(value, sd, independent_ranks(value, sd), people=people)


def clustered(guesses: pd.DataFrame) -> Found:
    """Mean over episodes of their held-out means, with a t interval over episodes."""
    value, sd, n = by_episode(guesses)
    wider = sd * stats.t.ppf(0.95, np.maximum(n - 1, 1)) / Z
    return Found(value, wider, independent_ranks(value, wider))


def by_episode(guesses: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[float], pd.Series[int]]:
    """By target: mean over episodes of their held-out means, its standard error, and the number of episodes."""
    rows = guesses[guesses["phase"] == "held_out"]
    means = skills(rows).groupby([rows["target_id"], rows["episode_id"]]).mean().groupby(level=0)
    n = means.size()
    return means.mean(), means.std() / np.sqrt(n), n


def correlation(*, held_out: bool) -> Method:
    """Correlation of guesses with truths, as neuron-explainer scores explanations. On another scale: only an order."""

    def run(guesses: pd.DataFrame) -> Found:
        rows = guesses[guesses["phase"] == "held_out"] if held_out else guesses
        parts = rows.groupby("target_id")[["guess", "truth"]]
        return Found(pd.Series({name: np.corrcoef(part.to_numpy().T)[0, 1] for name, part in parts}).fillna(0.0))

    return run


def openskill(guesses: pd.DataFrame) -> Found:
    """OpenSkill: an annotator plays a match against a target in every held-out round, and wins above a constant."""
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
    return Found(value, None, independent_ranks(value, sd), people=pd.Series({n: r.mu for n, r in people.items()}))


def lmer(guesses: pd.DataFrame) -> Found:
    """mixedlm, an lme4 for Python: the same knots, with random effects of targets, annotators and episodes.

    With its analytic gradients and L-BFGS-B, which find the same optimum as its default optimiser in a fraction of the
    time. Standard deviations join those of the random effects with those of the fixed ones; ranks take targets as
    independent.
    """
    import mixedlm

    rows = knotted(guesses)
    x = "0 + x0 + x1 + x2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where a variance is on its boundary
        fitted = mixedlm.lmer(
            f"y ~ {x} + ({x} | target_id) + ({x} | annotator_id) + ({x} | episode_id)",
            rows,
            control=mixedlm.lmerControl(optimizer="L-BFGS-B", use_analytic_gradient=True),
        )
        effects: Any = fitted.ranef(condVar=True)
    ids = sorted(rows["target_id"].unique())
    fixed, spread = fitted.fixef(), np.diag(fitted.vcov())
    known = {}
    for at, knot in ((0, "x0"), (2, "x2")):
        mean = fixed[knot] + np.asarray(effects["target_id"][knot])
        sd = np.sqrt(np.asarray(effects.condVar["target_id"][knot]) + spread[at])
        known[knot] = pd.DataFrame({"value": mean, "sd": sd}, index=ids)
    end = known["x2"]
    people = pd.Series(np.asarray(effects["annotator_id"]["x2"]), index=sorted(rows["annotator_id"].unique()))
    return Found(
        end["value"],
        end["sd"],
        independent_ranks(end["value"], end["sd"]),
        start=known["x0"],
        gain=(end - known["x0"])[["value"]],
        people=people,
    )


def knotted(guesses: pd.DataFrame) -> pd.DataFrame:
    """Skill of every guess with the three knots that our model uses."""
    last = float((guesses["phase"] == "practice").groupby(guesses["episode_id"]).sum().mode().max())
    seen = np.where(guesses["phase"] == "practice", np.minimum(guesses["trial"] - 1, last), last).astype(float)
    knots = {f"x{at}": np.interp(seen, [0.0, 3.0, last], row) for at, row in enumerate(np.eye(3))}
    ids = {name: guesses[name] for name in ("target_id", "annotator_id", "episode_id")}
    return pd.DataFrame({"y": skills(guesses), **knots, **ids})
