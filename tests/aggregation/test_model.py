"""The estimator recovers what a simulator of known truth knows, and says what a design cannot tell."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from imitable_aggregation import mixed
from imitable_aggregation.defaults import filled
from imitable_aggregation.errors import TableError
from imitable_aggregation.mixed import Floats, root
from imitable_aggregation.model import Fit, fit
from imitable_aggregation.simulate import Setting, simulate
from imitable_aggregation.statistics import Statistics, collect

Rows = list[dict[str, object]]


def gathered(guesses: pd.DataFrame) -> Statistics:
    return collect(filled(guesses))


def fitted(guesses: pd.DataFrame, **options: object) -> Fit:
    statistics = gathered(guesses)
    return fit(statistics.episodes, statistics.items(), statistics.knots, **options)  # type: ignore[arg-type]


def played(
    annotators: int,
    targets: int,
    *,
    practice: int = 6,
    held_out: int = 3,
    error: Callable[[int, int, int, np.random.Generator], float] = lambda a, t, k, rng: float(rng.normal(0, 1.5)),
    meets: Callable[[int, int], bool] = lambda a, t: True,
    level: Callable[[int, int], str] = lambda a, t: "examples",
    item: Callable[[int, int, int], str] = lambda a, t, k: f"{a}-{t}-{k}",
) -> pd.DataFrame:
    """Everybody plays every target that he `meets`; a guess is the truth and an `error`."""
    rng = np.random.default_rng(4)
    rows: Rows = []
    for a in range(annotators):
        for t in range(targets):
            if not meets(a, t):
                continue
            for k in range(practice + held_out):
                truth = float(rng.uniform(0, 10))
                rows.append(
                    {
                        "annotator_id": f"a{a:03d}",
                        "target_id": f"toy/mlp.0/{t}",
                        "trial": k + 1,
                        "phase": "practice" if k < practice else "held_out",
                        "guess": float(np.clip(truth + error(a, t, k, rng), 0, 10)),
                        "truth": truth,
                        "item_id": item(a, t, k),
                        "level": level(a, t),
                        "l_ref": 2.5,
                    }
                )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def campaign() -> tuple[Fit, pd.DataFrame, dict[str, Floats]]:
    done = simulate(Setting(guesses=20_000, correlated=0.6, bad=0.0, seed=31))
    truth = {"imitability": done.imitability, "start": done.start, "skill": done.skill}
    return fitted(done.guesses), done.guesses, truth


def places(names: list[str]) -> list[int]:
    return [int(name[-6:]) for name in names]


def test_the_ranking_is_recovered_when_skilled_people_were_given_hard_targets(
    campaign: tuple[Fit, pd.DataFrame, dict[str, Floats]],
) -> None:
    found, guesses, truth = campaign
    true = truth["imitability"][places(found.target_ids)]
    held = guesses[guesses["phase"] == "held_out"]
    skill = 1 - (held["guess"] - held["truth"]).abs() / held["l_ref"]
    means = skill.groupby(held["target_id"]).mean().reindex(found.target_ids)
    ours, naive = (kendalltau(each, true).statistic for each in (found.targets["imitability"], means))
    assert ours > naive + 0.1
    assert ours > 0.7


def test_intervals_cover_the_truth(campaign: tuple[Fit, pd.DataFrame, dict[str, Floats]]) -> None:
    found, _, truth = campaign
    at = places(found.target_ids)
    for name, true in (("imitability", truth["imitability"]), ("start", truth["start"])):
        off = np.abs(found.targets[name] - true[at]) / found.targets[f"{name}_sd"]
        assert 0.75 < (off < 1.645).mean() <= 1.0, name


def test_annotators_are_ordered_by_skill_although_the_best_met_the_hardest(
    campaign: tuple[Fit, pd.DataFrame, dict[str, Floats]],
) -> None:
    found, guesses, truth = campaign
    true = truth["skill"][places(list(found.people.index))].tolist()
    skill = 1 - (guesses["guess"] - guesses["truth"]).abs() / guesses["l_ref"]
    raw = skill.groupby(guesses["annotator_id"]).mean().reindex(found.people.index)
    ours = spearmanr(found.people["skill"], true).statistic
    assert ours > 0.5
    assert ours > spearmanr(raw, true).statistic + 0.2


def test_draws_are_joint_and_agree_with_the_estimates(
    campaign: tuple[Fit, pd.DataFrame, dict[str, Floats]],
) -> None:
    found, _, _ = campaign
    draws = found.samples["held_out"]
    assert draws.shape == (400, len(found.target_ids))
    np.testing.assert_allclose(draws.mean(axis=0), found.targets["imitability"], atol=0.03)
    np.testing.assert_allclose(draws.std(axis=0), found.targets["imitability_sd"])


def test_the_order_of_rows_and_the_number_of_threads_change_nothing() -> None:
    program = (
        "import hashlib, numpy as np\n"
        "from imitable_aggregation.simulate import Setting, simulate\n"
        "from imitable_aggregation.defaults import filled\n"
        "from imitable_aggregation.statistics import collect\n"
        "from imitable_aggregation.model import fit\n"
        "rows = simulate(Setting(guesses=4000, seed=5)).guesses.sample(frac=1, random_state=SEED)\n"
        "s = collect(filled(rows), threads=THREADS)\n"
        "f = fit(s.episodes, s.items(), s.knots)\n"
        "print(hashlib.sha256(f.samples['held_out'].tobytes() + f.targets.to_numpy().tobytes()).hexdigest())\n"
    )
    said = set()
    for threads in (1, 2):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
        code = program.replace("SEED", str(threads)).replace("THREADS", str(threads))
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1


def test_items_that_many_people_met_widen_the_interval() -> None:
    hard = np.random.default_rng(9).normal(0, 2.5, (12, 9))

    def error(a: int, t: int, k: int, rng: np.random.Generator) -> float:
        return float(rng.normal(0, 0.5) + hard[t, k])

    shared = fitted(played(30, 12, error=error, item=lambda a, t, k: f"{t}-{k}"))
    fresh = fitted(played(30, 12, error=error, item=lambda a, t, k: f"{a}-{t}-{k}"))
    assert shared.components["item"] > 0.1
    assert fresh.components["item"] == 0.0
    wider = shared.targets["imitability_sd"] / fresh.targets["imitability_sd"]
    assert wider.median() > 2
    assert wider.min() > 1.8


def test_levels_are_told_apart_and_their_effects_sum_to_nothing() -> None:
    def error(a: int, t: int, k: int, rng: np.random.Generator) -> float:
        return float(rng.normal(0, 0.8 if (a + t) % 2 else 2.0))

    guesses = played(24, 10, error=error, level=lambda a, t: "examples" if (a + t) % 2 else "text")
    mean, one = fitted(guesses), fitted(guesses, level="examples")
    effects = {name: draws.mean() for name, draws in mean.levels.items()}
    assert effects["examples"] > 0.1
    assert effects["examples"] == pytest.approx(-effects["text"], abs=1e-9)
    raised = one.targets["imitability"] - mean.targets["imitability"]
    np.testing.assert_allclose(raised, effects["examples"], atol=0.02)
    for level in ("examples", "text"):  # whatever the level that estimates are for
        np.testing.assert_allclose(one.at(level).mean(axis=0), mean.at(level).mean(axis=0), atol=0.03)
    np.testing.assert_array_equal(one.at("examples"), one.samples["held_out"])
    with pytest.raises(TableError, match="choose one of examples, text"):
        fitted(guesses, level="weights")


CASES: dict[str, tuple[pd.DataFrame, str]] = {
    "one annotator": (played(1, 4), "No target was played by two annotators"),
    "one target": (played(5, 1), "There is one target"),
    "one episode": (played(1, 1), "There is one target"),
    "one guess": (played(1, 1, practice=1, held_out=0), "no held-out rounds"),
    "no held-out rounds": (played(5, 4, held_out=0), "no held-out rounds"),
    "no practice": (played(5, 4, practice=0), "start and gain are empty"),
    "one practice round": (played(5, 4, practice=1), ""),
    "exact guesses": (played(5, 4, error=lambda a, t, k, rng: 0.0), ""),
    "constant errors": (played(5, 4, error=lambda a, t, k, rng: 1.0), ""),
    "nobody overlaps": (played(8, 8, meets=lambda a, t: a == t), "No annotator played two targets"),
    "two islands": (played(8, 8, meets=lambda a, t: a % 2 == t % 2), "2 groups that no annotator connects"),
    "one guess each": (played(30, 6, practice=0, held_out=1, meets=lambda a, t: a % 6 == t), "No annotator played two"),
}


@pytest.mark.parametrize("case", CASES)
def test_poor_designs_give_numbers_and_say_what_they_cannot_tell(case: str) -> None:
    guesses, words = CASES[case]
    found = fitted(guesses)
    assert words in " ".join(found.notes)
    told = found.targets[["imitability", "imitability_sd"]].to_numpy()
    assert np.isfinite(told).all()
    assert (found.targets["imitability_sd"] > 0).all()
    assert np.isfinite(found.people.to_numpy()).all()
    assert np.isfinite(found.samples["held_out"]).all()
    has_start = (guesses["phase"] == "practice").any() and (guesses["phase"] == "held_out").any()
    assert found.targets["start"].notna().all() == (has_start or case == "no held-out rounds")
    assert found.targets["gain"].notna().all() == found.targets["start"].notna().all()


def test_nothing_to_rank_is_an_error() -> None:
    statistics = gathered(played(2, 2))
    with pytest.raises(TableError, match="no episode to rank from"):
        fit(statistics.episodes.iloc[:0])


def test_a_covariance_that_rounding_leaves_below_zero_still_has_a_root() -> None:
    flat = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0 - 1e-9], [1.0, 1.0 - 1e-9, 1.0]]) * 1e6
    assert np.linalg.eigvalsh(flat)[0] < 0
    found = root(np.stack([flat, np.zeros((3, 3))]))
    assert np.allclose(found @ np.swapaxes(found, -1, -2), [flat, np.zeros((3, 3))], atol=1e-2)


def test_draws_are_as_many_in_whatever_parts_they_are_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    guesses = played(12, 6)
    whole = fitted(guesses)
    monkeypatch.setattr(mixed, "MOST_NUMBERS", 1)
    parts = fitted(guesses)
    assert parts.samples["held_out"].shape == whole.samples["held_out"].shape
    np.testing.assert_allclose(parts.targets["imitability"], whole.targets["imitability"], atol=0.02)
    np.testing.assert_allclose(parts.targets["imitability_sd"], whole.targets["imitability_sd"], rtol=0.25)
