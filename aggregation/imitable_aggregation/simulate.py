"""Campaigns of known truth: invented people play invented targets, guess by guess.

Nothing here is the estimator's model. A player perceives an item with a fidelity that is logistic in the target's
learnability, his own skill, the pair of both and the feedback that he has had, and otherwise falls back on what he has
seen so far; he has a bias and a scale of his own, an unsteady hand, lapses, and round numbers that he likes. Targets
are easy, learnable or opaque; items are reused across annotators, as in the game; who does badly drops out more, who
does well plays more; a share of the players are not people at all. The skill that results is skewed, its spread
depends on its mean, and learning curves are exponential.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import scoring

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PRACTICE, HELD_OUT = 15, 5
POOL = {"practice": 60, "held_out": 40}

DESCRIBED = ("random", "constant", "copies", "running", "leaks")
"""Bad players that conduct knows: uniform guesses, one value, the last truth, the mean of the truths so far, and one
who is told the truth."""
UNDESCRIBED = ("half-random",)
"""Bad players that it was never told about: half of the guesses are uniform, the others honest."""


@dataclass(frozen=True)
class Setting:
    """One simulated campaign."""

    guesses: int = 100_000
    """About how many guesses are made; drop-out makes it fewer."""
    per_target: int = 200
    """Guesses a target gets, about: ten episodes of twenty rounds."""
    correlated: float = 0.0
    """How far assignment follows skill: 0 at random; 0.6 gives skilled people the hard targets."""
    bad: float = 0.15
    """Share of annotators who are bad players."""
    bad_kinds: tuple[str, ...] = DESCRIBED
    opaque: float = 0.3
    """Share of targets that hardly anyone learns."""
    seed: int = 0


@dataclass(frozen=True)
class Simulated:
    """A campaign's guesses, and what was true of it."""

    guesses: pd.DataFrame
    """As guesses.csv."""
    imitability: Floats
    """Of every target, in the order of their ids: expected held-out skill of a random honest annotator, fresh items."""
    start: Floats
    """The same before any feedback."""
    skill: Floats
    """Of every annotator, in the order of their ids: expected held-out skill on a random target; nan for bad ones."""
    kind: npt.NDArray[np.str_]
    """Of every annotator: `honest`, or the kind of bad player."""


@dataclass(frozen=True)
class _Targets:
    easy: Floats
    gain: Floats
    rate: Floats
    active: Floats
    """Share of a pool's items that are active."""
    shape: Floats
    l_ref: Floats
    items: dict[str, Floats] = field(repr=False)
    """Truths by split, (targets, items)."""


@dataclass(frozen=True)
class _People:
    skill: Floats
    bias: Floats
    scale: Floats
    hand: Floats
    lapse: Floats
    grain: Floats
    rate: Floats
    kind: npt.NDArray[np.str_]


def simulate(setting: Setting) -> Simulated:
    """Play one campaign. The same setting gives the same guesses."""
    rng = np.random.default_rng([20261123, setting.seed])
    count = max(2, setting.guesses // setting.per_target)
    episodes = max(2, round(setting.guesses / (PRACTICE + HELD_OUT)))
    targets = _targets(count, setting.opaque, rng)
    people = _people(max(2, episodes // 4), setting, rng)
    who, what = _assign(people, targets, episodes, setting.correlated, rng)
    rows = _play(people, targets, who, what, rng)
    honest = np.flatnonzero(people.kind == "honest")
    imitability, start = _expected(people, targets, honest, rng)
    skill = np.full(len(people.skill), np.nan)
    skill[honest] = _skills(people, targets, honest, rng)
    names = pd.DataFrame(
        {
            "annotator_id": [f"a_{at:06d}" for at in who[rows["episode"]]],
            "target_id": [f"sim/mlp.0/{at:06d}" for at in what[rows["episode"]]],
            "episode_id": [f"e_{at:07d}" for at in rows["episode"]],
            "item_id": [
                f"i_{target:06d}_{split[0]}{item:02d}"
                for target, split, item in zip(what[rows["episode"]], rows["phase"], rows["item"], strict=True)
            ],
        }
    )
    table = pd.concat([names, pd.DataFrame({key: rows[key] for key in ("trial", "phase", "guess", "truth")})], axis=1)
    table["l_ref"] = targets.l_ref[what[rows["episode"]]]
    return Simulated(table, imitability, start, skill, people.kind)


def _targets(count: int, opaque: float, rng: np.random.Generator) -> _Targets:
    kind = rng.choice(3, size=count, p=[0.25 * (1 - opaque) / 0.7, 0.45 * (1 - opaque) / 0.7, opaque])
    easy = np.choose(kind, [rng.normal(0.6, 0.5, count), rng.normal(-1.2, 0.5, count), rng.normal(-2.2, 0.5, count)])
    gain = np.choose(kind, [rng.gamma(2, 0.2, count), rng.gamma(4, 0.5, count), rng.gamma(1, 0.15, count)])
    active, shape = rng.uniform(0.42, 0.58, count), rng.uniform(1.2, 4.0, count)
    items = {split: _items(active, shape, size, rng) for split, size in POOL.items()}
    l_ref = np.abs(items["held_out"] - np.median(items["held_out"], axis=1, keepdims=True)).mean(axis=1)
    return _Targets(easy, gain, rng.uniform(0.1, 0.6, count), active, shape, l_ref, items)


def _items(active: Floats, shape: Floats, size: int, rng: np.random.Generator) -> Floats:
    """Truths on the display scale: many near zero, the others skewed."""
    loud = 10 * rng.beta(shape[:, None], 2.0, (len(active), size))
    quiet = np.clip(rng.exponential(0.35, (len(active), size)) - 0.1, 0, 10)
    return np.where(rng.random((len(active), size)) < active[:, None], loud, quiet)


def _people(count: int, setting: Setting, rng: np.random.Generator) -> _People:
    kind = np.full(count, "honest", dtype="<U12")
    bad = rng.random(count) < setting.bad
    kind[bad] = rng.choice(setting.bad_kinds, int(bad.sum())) if len(setting.bad_kinds) else "honest"
    return _People(
        skill=rng.normal(0, 0.8, count),
        bias=rng.normal(0, 0.6, count),
        scale=np.exp(rng.normal(0, 0.2, count)),
        hand=rng.gamma(3, 0.2, count),
        lapse=rng.beta(1, 30, count),
        grain=rng.choice([0.1, 0.5, 1.0], count, p=[0.5, 0.2, 0.3]),
        rate=np.exp(rng.normal(0, 0.3, count)),
        kind=kind,
    )


def _assign(
    people: _People, targets: _Targets, episodes: int, correlated: float, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """(annotator, target) of every episode, each pair once; skilled people play more."""
    keen = np.exp(0.4 * people.skill + rng.normal(0, 0.3, len(people.skill)))
    who = np.concatenate(
        [np.arange(len(keen)), rng.choice(len(keen), max(0, episodes - len(keen)), p=keen / keen.sum())]
    )
    ease = targets.easy + targets.gain
    hard = -(ease - ease.mean()) / max(ease.std(), 1e-9)
    wish = correlated * people.skill[who] / 0.8 + np.sqrt(1 - correlated**2) * rng.normal(size=len(who))
    places = np.repeat(np.arange(len(hard)), -(-len(who) // len(hard)))[: len(who)]
    places = places[np.argsort(hard[places] + rng.normal(0, 1e-3, len(places)), kind="stable")]
    what: Ints = np.empty(len(who), np.int64)
    what[np.argsort(wish, kind="stable")] = places
    if correlated == 0:
        what = rng.permutation(what)
    _, first = np.unique(who * np.int64(len(hard)) + what, return_index=True)
    first = np.sort(first)
    return who[first].astype(np.int64), what[first]


def _play(
    people: _People, targets: _Targets, who: Ints, what: Ints, rng: np.random.Generator
) -> dict[str, npt.NDArray[np.generic]]:
    """All rounds of all episodes, trial by trial; some stop early."""
    pair = rng.normal(0, 0.6, len(who))
    order = {split: np.argsort(rng.random((len(who), size)), axis=1) for split, size in POOL.items()}
    seen_sum: Floats = np.full(len(who), 3.0)
    last: Floats = np.full(len(who), 3.0)
    mood: Floats = np.zeros(len(who))
    seen, fixed, alive = np.ones(len(who)), rng.uniform(0, 10, len(who)), np.ones(len(who), bool)
    found: list[dict[str, npt.NDArray[np.generic]]] = []
    for trial in range(1, PRACTICE + HELD_OUT + 1):
        phase = "practice" if trial <= PRACTICE else "held_out"
        item = order[phase][:, trial - 1 if phase == "practice" else trial - 1 - PRACTICE]
        truth = targets.items[phase][what, item]
        feedbacks = min(trial - 1, PRACTICE)
        fidelity = _fidelity(people, targets, who, what, feedbacks, pair)
        guess = _guess(people, who, truth, fidelity, seen_sum / seen, targets, what, rng)
        guess = _sham(people.kind[who], guess, truth, last, seen_sum / seen, fixed, rng)
        skill = scoring.skill(guess, truth, targets.l_ref[what])
        now = np.flatnonzero(alive)
        found.append(
            {
                "episode": now,
                "item": item[now],
                "trial": np.full(len(now), trial),
                "phase": np.full(len(now), phase),
                "guess": guess[now],
                "truth": truth[now],
            }
        )
        if phase == "practice":
            seen_sum, seen, last = seen_sum + truth, seen + 1, truth
        mood = 0.8 * mood + 0.2 * skill
        alive &= rng.random(len(who)) > 0.002 + 0.01 * (mood < -0.4)
    together = {key: np.concatenate([part[key] for part in found]) for key in found[0]}
    by = np.lexsort((together["trial"], together["episode"]))
    return {key: values[by] for key, values in together.items()}


def _fidelity(
    people: _People, targets: _Targets, who: Ints, what: Ints, feedbacks: int, pair: Floats | float
) -> Floats:
    """How much of an item a player perceives, 0 to 1."""
    learnt = targets.gain[what] * (1 - np.exp(-targets.rate[what] * people.rate[who] * feedbacks))
    logit: Floats = targets.easy[what] + learnt + people.skill[who] + pair
    return 1 / (1 + np.exp(-logit))


def _guess(
    people: _People,
    who: Ints,
    truth: Floats,
    fidelity: Floats,
    habit: Floats,
    targets: _Targets,
    what: Ints,
    rng: np.random.Generator,
) -> Floats:
    """An honest guess on the display scale."""
    misread = rng.random(len(who)) < 0.5 * (1 - fidelity)
    other = targets.items["practice"][what, rng.integers(POOL["practice"], size=len(who))]
    seen = np.where(misread, other, truth)
    thought = habit + fidelity * (seen - habit)
    said = 3 + people.scale[who] * (thought - 3) + people.bias[who] + people.hand[who] * rng.normal(size=len(who))
    said = np.where(rng.random(len(who)) < people.lapse[who], rng.uniform(0, 10, len(who)), said)
    grain = people.grain[who]
    guess: Floats = np.clip(np.round(said / grain) * grain, 0, 10)
    return guess


def _sham(
    kind: npt.NDArray[np.str_],
    guess: Floats,
    truth: Floats,
    last: Floats,
    mean: Floats,
    fixed: Floats,
    rng: np.random.Generator,
) -> Floats:
    """What bad players say instead."""
    noise, anything = rng.normal(0, 0.15, len(kind)), rng.uniform(0, 10, len(kind))
    said = guess.copy()
    for name, value in (
        ("random", anything),
        ("constant", fixed + noise),
        ("copies", last + noise),
        ("running", mean + noise),
        ("leaks", truth + noise),
        ("half-random", np.where(rng.random(len(kind)) < 0.5, anything, guess)),
    ):
        said = np.where(kind == name, np.round(value, 1), said)
    return np.clip(said, 0, 10)


def _expected(people: _People, targets: _Targets, honest: Ints, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Expected skill of a random honest annotator on fresh items of every target: after all feedback, and before."""
    draws, ends = 1500, []
    for feedbacks in (PRACTICE, 0):
        skill = np.empty(len(targets.easy))
        for target in range(len(skill)):
            who = rng.choice(honest, draws)
            skill[target] = _fresh(people, targets, who, np.full(draws, target), feedbacks, rng).mean()
        ends.append(skill)
    return ends[0], ends[1]


def _skills(people: _People, targets: _Targets, honest: Ints, rng: np.random.Generator) -> Floats:
    """Expected held-out skill of every honest annotator on a random target."""
    draws = 300
    skill = np.empty(len(honest))
    for at, one in enumerate(honest):
        what = rng.integers(len(targets.easy), size=draws)
        skill[at] = _fresh(people, targets, np.full(draws, one), what, PRACTICE, rng).mean()
    return skill


def _fresh(
    people: _People, targets: _Targets, who: Ints, what: Ints, feedbacks: int, rng: np.random.Generator
) -> Floats:
    """Skill of single honest guesses on fresh items, with a fresh meeting of annotator and target."""
    truth = _items(targets.active[what], targets.shape[what], 1, rng)[:, 0]
    seen = _items(targets.active[what], targets.shape[what], max(feedbacks, 1), rng)[:, :feedbacks]
    habit = (3.0 + seen.sum(axis=1)) / (1 + feedbacks)
    fidelity = _fidelity(people, targets, who, what, feedbacks, rng.normal(0, 0.6, len(who)))
    guess = _guess(people, who, truth, fidelity, habit, targets, what, rng)
    return scoring.skill(guess, truth, targets.l_ref[what])
