"""The likelihoods that conduct compares, held against dense normal distributions, and what it learns of people."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import integrate, stats

from imitable_aggregation.honest import Population, improved, played, usual
from imitable_aggregation.impostors import BELIEF, KINDS, SLACK, impostors
from imitable_aggregation.regressions import BEFORE, Regressions, regressions, sums
from imitable_aggregation.symmetric import inverse, packed, sandwich, times, trace, unpacked

Floats = npt.NDArray[np.float64]


class Episode:
    """Rounds of one episode, all of them practice."""

    def __init__(self, annotator: str, target: str, guess: Floats, truth: Floats) -> None:
        self.annotator, self.target, self.g, self.z = annotator, target, guess, truth
        seen = np.arange(len(truth))
        self.told = seen > 0
        self.m = np.concatenate([[0.0], np.cumsum(truth)[:-1] / np.maximum(seen[1:], 1)])
        self.c = np.concatenate([[0.0], truth[:-1]])

    def row(self) -> dict[str, object]:
        """Its sums, as statistics gives them."""
        g, z, told = self.g, self.z, self.told
        values = {"g": g, "z": z, "m": self.m, "c": self.c}
        pairs = ("gg", "zz", "mm", "cc", "gz", "gm", "gc", "zm", "zc", "mc")
        plain = {"g": g.sum(), "z": z.sum(), "gg": g @ g, "zz": z @ z, "gz": g @ z}
        after = {f"t_{name}": value[told].sum() for name, value in values.items()}
        after |= {f"t_{pair}": values[pair[0]][told] @ values[pair[1]][told] for pair in pairs}
        ids = {"annotator_id": self.annotator, "target_id": self.target, "level": "text", "low": 0.0}
        return {
            "episode_id": f"{self.annotator} {self.target}",
            **ids,
            "n": len(g),
            "t_n": told.sum(),
            **plain,
            **after,
        }


def frame(episodes: list[Episode]) -> pd.DataFrame:
    return pd.DataFrame([episode.row() for episode in episodes])


@pytest.fixture
def two() -> list[Episode]:
    """One annotator on two targets."""
    rng = np.random.default_rng(5)
    truths = [rng.uniform(0, 10, n) for n in (7, 4)]
    return [Episode("a", f"t{at}", 0.5 * z + rng.normal(2, 1, len(z)), z) for at, z in enumerate(truths)]


@pytest.fixture
def people() -> Population:
    """Somewhere that is neither usual nor simple."""
    a = np.array([[0.5, 0.05, 0.0], [0.05, 0.04, -0.02], [0.0, -0.02, 0.05]])
    return Population(
        mean=np.array([[0.2, -0.1], [0.5, 0.3], [0.2, 0.4]]),
        common=np.array([0.0, 0.4, 0.3]),
        noise=np.array([1.5, 2.0]),
        target=a,
        annotator=a,
        episode=0.5 * a,
        freedom=6.0,
        multiplier=np.array([1.0]),
    )


def test_the_likelihood_of_honest_play_is_that_of_the_dense_normal_distribution(
    two: list[Episode], people: Population
) -> None:
    xs, means, extra = [], [], []
    for at, episode in enumerate(two):
        centre = episode.z.mean()
        x = np.column_stack(
            [np.ones(len(episode.z)), episode.z - centre, np.where(episode.told, episode.m - centre, 0)]
        )
        xs.append(x)
        means.append(centre + x @ people.mean[:, at])
        extra.append(np.where(episode.told, 1.0, 1.0 / BEFORE) * people.noise[at])
    x = np.concatenate(xs)
    own = np.zeros((len(x), len(x)))
    n = len(xs[0])
    own[:n, :n], own[n:, n:] = (part @ people.episode @ part.T for part in xs)
    guesses = np.concatenate([episode.g for episode in two])

    def density(log_w: float) -> float:
        covariance = x @ people.annotator @ x.T + own + np.diag(np.exp(log_w) * np.concatenate(extra))
        prior = stats.gamma(3.0, scale=1 / 3.0).pdf(np.exp(-log_w)) * np.exp(-log_w)
        return float(stats.multivariate_normal(np.concatenate(means), covariance).pdf(guesses) * prior)

    wanted = np.log(integrate.quad(density, -4, 4)[0])
    data = regressions(sums(frame(two))[0])
    settled = people
    for _ in range(5):
        now = improved(data, settled, np.zeros(1))
        settled = Population(**{**people.__dict__, "multiplier": now.multiplier})
    assert played(data, settled).likelihood[0] == pytest.approx(wanted, abs=0.02)


def test_the_likelihood_of_impostors_is_that_of_their_guesses(two: list[Episode]) -> None:
    data, _ = sums(frame(two))
    found = dict(zip(KINDS, impostors(data)[:, 0], strict=True))
    leaks = [sum(stats.norm(e.z, s).logpdf(e.g).sum() for e in two) for s in SLACK]
    assert found["leaks"] == pytest.approx(np.logaddexp.reduce(leaks) - np.log(len(SLACK)))
    copies = [sum(stats.norm(e.c[1:], s).logpdf(e.g[1:]).sum() - np.log(10) for e in two) for s in SLACK]
    assert found["copies"] == pytest.approx(np.logaddexp.reduce(copies) - np.log(len(SLACK)))
    running = []
    for s in SLACK:
        total = 0.0
        for e in two:
            x = np.column_stack([np.ones(len(e.z) - 1), e.m[1:] - e.z.mean()])
            covariance = x @ np.diag(BELIEF) @ x.T + s**2 * np.eye(len(x))
            total += stats.multivariate_normal(e.m[1:], covariance).logpdf(e.g[1:]) - np.log(10)
        running.append(total)
    assert found["running"] == pytest.approx(np.logaddexp.reduce(running) - np.log(len(SLACK)))


def test_a_constant_is_likelier_than_any_other_way_of_saying_it() -> None:
    rng = np.random.default_rng(1)
    episodes = [Episode("a", f"t{at}", np.full(9, 4.0), rng.uniform(0, 10, 9)) for at in range(2)]
    found = impostors(sums(frame(episodes))[0])[:, 0]
    assert KINDS[int(found.argmax())] == "constant"


def test_people_are_learned_from_people() -> None:
    rng = np.random.default_rng(2)
    slopes = {f"t{at:02d}": rng.normal(0.5, 0.2) for at in range(40)}
    episodes = []
    for who in range(150):
        bias, slope, noise = rng.normal(0, 0.7), rng.normal(0, 0.15), np.exp(rng.normal(0, 0.25))
        for target in rng.choice(sorted(slopes), 5, replace=False):
            z = rng.uniform(0, 10, 20)
            line = 5 + bias + (slopes[target] + slope + rng.normal(0, 0.05)) * (z - 5) + rng.normal(0, 0.2)
            episodes.append(Episode(f"a{who:03d}", target, line + rng.normal(0, noise, 20), z))
    data = regressions(sums(frame(episodes))[0])
    now = usual(data)
    for _ in range(15):
        now = improved(data, now, np.ones(150))
    assert np.corrcoef(now.mean[1], [slopes[name] for name in sorted(slopes)])[0, 1] > 0.97
    assert now.annotator[0, 0] == pytest.approx(0.49, rel=0.3)
    assert now.annotator[1, 1] == pytest.approx(0.0225, rel=0.4)
    assert np.median(now.noise) == pytest.approx(1.0, rel=0.25)
    assert 4 <= now.freedom <= 14
    assert np.linalg.eigvalsh(now.episode).min() > 0


def test_nobody_in_earnest_moves_nothing_but_his_own_noise(two: list[Episode], people: Population) -> None:
    data = regressions(sums(frame(two))[0])
    assert isinstance(data, Regressions)
    now = improved(data, usual(data), np.zeros(1))
    assert now.mean == pytest.approx(usual(data).mean)
    assert now.noise == pytest.approx(usual(data).noise)
    assert now.annotator == pytest.approx(usual(data).annotator)
    assert now.multiplier[0] != 1.0


def test_stacks_of_symmetric_matrices_agree_with_numpy() -> None:
    rng = np.random.default_rng(3)
    root = rng.normal(size=(5, 3, 3))
    full = root @ root.transpose(0, 2, 1) + np.eye(3)
    stack = np.concatenate([packed(matrix) for matrix in full], axis=1)
    other = np.concatenate([packed(matrix) for matrix in full[::-1]], axis=1)
    assert unpacked(stack) == pytest.approx(full)
    inverted, determinant = inverse(stack)
    assert unpacked(inverted) == pytest.approx(np.linalg.inv(full))
    assert determinant == pytest.approx(np.linalg.det(full))
    vectors = rng.normal(size=(3, 5))
    product = times(stack, vectors).T
    assert product == pytest.approx(np.einsum("eij,je->ei", full, vectors))
    assert unpacked(sandwich(stack, other)) == pytest.approx(full @ full[::-1] @ full)
    assert trace(stack, other) == pytest.approx(np.einsum("eij,eji->e", full, full[::-1]))
