"""Simulated annotators of known skill. They see what people see, and nothing else.

A learner forms its guess from the texts, examples and answers that it was shown: it remembers how strongly the target
reacted to the marked piece, to the letters before it and to the word before it, and backs off from the specific to
the general. So a target that reacts to a few words is learnable for it, and one that reacts to a theme is not.

Where a page shows readings beside a text, it goes by them as far as they went with the answers so far; where it may
look up some, it asks for those that went best.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from imitable.rounds import correlations, read_off, to_look_up

Floats = npt.NDArray[np.float64]

Kind = Literal["learner", "constant", "random", "copies"]
"""Learner: takes part in good faith. The others are bad players: one number for all, any number, the last answer."""

MOST_TRUST = 0.97
"""What a perfect correlation counts as, of 1: no reading is followed blindly."""


@dataclass(frozen=True)
class Profile:
    """What a simulated annotator is like."""

    name: str
    kind: Kind = "learner"
    attention: float = 0.9
    """Share of what it is shown that it takes in, 0 to 1: its skill."""
    skims: float = 0.15
    """Share of the examples' tokens that it looks at, 0 to 1; the rounds themselves it reads."""
    learning_rate: float = 1.0
    """Weight of a practice answer against one token of an example, above 0."""
    bias: float = 0.0
    """Added to every guess, display units."""
    scale: float = 1.0
    """Slope of its guesses around the middle of the scale: below 1 it is timid, above 1 bold."""
    noise: float = 0.8
    """Standard deviation of its guesses, display units."""
    quits: float = 0.0
    """Chance to leave for good before each episode but the first."""


def draw_profiles(players: int, rng: np.random.Generator, *, bad: float = 0.15) -> list[Profile]:
    """A crowd of `players`: mostly learners of varied skill, a share `bad` of bad ones, in random order."""
    kinds: tuple[Kind, ...] = ("constant", "random", "copies")
    count = round(players * bad)
    crowd = [Profile(f"{kinds[at % 3]}-{at + 1}", kinds[at % 3]) for at in range(count)]
    for at in range(players - count):
        crowd.append(
            Profile(
                f"learner-{at + 1}",
                attention=float(rng.beta(9, 2)),
                learning_rate=float(rng.uniform(2, 8)),
                bias=float(rng.normal(0, 0.3)),
                scale=float(rng.normal(1, 0.12)),
                noise=float(rng.uniform(0.2, 0.9)),
                quits=0.02,
            )
        )
    return [crowd[at] for at in rng.permutation(players)]


class SimulatedAnnotator:
    """One player. Feed it the views that the game answers with, as parsed JSON."""

    def __init__(self, profile: Profile, rng: np.random.Generator) -> None:
        self.profile = profile
        self.rng = rng
        self.constant = float(rng.uniform(0, 10))
        self._forget()

    def guess(self, view: Mapping[str, Any]) -> float:
        """A guess for a round's view, on its scale, to the half point as people do."""
        if view["first_of_target"]:
            self._forget()
            self._study(view["examples"])
        low, high = float(view["low"]), float(view["high"])
        kind = self.profile.kind
        if kind == "constant":
            raw = self.constant
        elif kind == "random":
            raw = float(self.rng.uniform(low, high))
        elif kind == "copies":
            raw = self.last_truth
        else:
            stimulus = view["stimulus"]
            middle = (low + high) / 2
            expected = self._expect(features(stimulus["before"], stimulus["focus"], stimulus["after"]))
            expected = self._weigh(expected, _readings(view))
            raw = middle + self.profile.scale * (expected - middle) + self.profile.bias
            raw += self.profile.noise * float(self.rng.normal())
        return round(2 * min(high, max(low, raw))) / 2

    def learn(self, view: Mapping[str, Any]) -> None:
        """Take in the answer that a reveal shows."""
        stimulus, truth = view["stimulus"], float(view["truth"])
        self.last_truth = truth
        self._remember(
            features(stimulus["before"], stimulus["focus"], stimulus["after"]), truth, self.profile.learning_rate
        )
        self.truths.append(truth)
        read = _readings(view)
        if len(read) and self.rng.random() < self.profile.attention:
            self.read.append(read)
            self.answers.append(truth)

    def looks_up(self, view: Mapping[str, Any]) -> int | None:
        """Place of the unit that it asks to see next, in a round where it may; None where it has seen enough."""
        readings = view.get("readings") or {}
        left = readings.get("looks_left")
        if not left or self.profile.kind != "learner":
            return None
        if view["first_of_target"]:
            self.read.clear()
            self.answers.clear()
        shown = [meter["value"] is not None for meter in readings["meters"]]
        known = np.array(self.read).reshape(len(self.read), len(shown))
        wanted = to_look_up(known, np.array(self.answers), looks=left + sum(shown))
        return next((place for place in wanted.tolist() if not shown[place]), None)

    def leaves(self) -> bool:
        """Whether it gives up here."""
        return bool(self.rng.random() < self.profile.quits)

    def _forget(self) -> None:
        self.weight: dict[str, float] = defaultdict(float)
        self.total: dict[str, float] = defaultdict(float)
        self.truths: list[float] = []
        self.last_truth = 5.0
        self.read: list[Floats] = []
        self.answers: list[float] = []

    def _study(self, examples: Sequence[Mapping[str, Any]]) -> None:
        for example in examples:
            pieces = [piece["text"] for piece in example["pieces"]]
            before = ""
            for at, piece in enumerate(example["pieces"]):
                after = "".join(pieces[at + 1 : at + 4])
                if at == example["focus"] or self.rng.random() < self.profile.skims:
                    self._remember(features(before, piece["text"], after), float(piece["value"]), 1.0)
                before = (before + piece["text"])[-40:]

    def _remember(self, seen: Sequence[str], value: float, weight: float) -> None:
        if self.rng.random() < self.profile.attention:
            for feature in seen:
                self.weight[feature] += weight
                self.total[feature] += weight * value

    def _expect(self, seen: Sequence[str]) -> float:
        """Back off: from what is usual, towards the mean of ever more specific features, as far as they are known."""
        expected = float(np.median(self.truths)) if self.truths else 2.0
        for feature in seen:
            known = self.weight.get(feature, 0.0)
            if known:
                trust = known / (known + 1.0)
                expected += trust * (self.total[feature] / known - expected)
        return expected

    def _weigh(self, expected: float, read: Floats) -> float:
        """What the text lets expect, and what readings do, each weighed by how well it went with the answers so far.

        A correlation counts as far as it is above 1/√rounds, which chance brings about. Together the readings weigh as
        much as the best of them; one that goes perfectly outweighs the text.
        """
        seen, answers = np.array(self.read), np.array(self.answers)
        if not len(read) or not len(seen):
            return expected
        known = np.isfinite(seen)
        chance = 1 / np.sqrt(np.maximum(known.sum(0), 1))
        r = correlations(seen, answers)
        trust = np.clip((np.abs(r) - chance) / np.maximum(1 - chance, 1e-9), 0, MOST_TRUST) ** 2
        weights, said = [0.0], [0.0]
        for unit in np.flatnonzero((trust > 0) & np.isfinite(read)):
            x, y = seen[known[:, unit], unit], answers[known[:, unit]]
            weights.append(float(trust[unit] / (1 - trust[unit])))
            said.append(float(y.mean() + r[unit] * y.std() * (read[unit] - x.mean()) / x.std()))
        if not any(weights):
            return expected
        weight = max(weights)
        return (expected + weight * float(np.average(said, weights=weights))) / (1 + weight)


def _readings(view: Mapping[str, Any]) -> Floats:
    """What a page shows beside its text, (features,); nan where nothing was looked up; empty at most levels."""
    readings = view.get("readings")
    if not readings:
        return np.zeros(0)
    rows = [[np.nan if one["value"] is None else one["value"], *one["adds"]] for one in readings["meters"]]
    found: Floats = read_off(readings["level"], np.array([rows], dtype=np.float64))[0]
    return found


def features(before: str, focus: str, after: str) -> tuple[str, ...]:
    """What a reader notices around the marked piece, from the general to the specific."""
    piece = focus.strip().lower()
    starts = focus[:1].isspace() or not before or before[-1:].isspace()
    head = "" if starts else re.findall(r"\w*$", before)[0].lower()
    tail = re.match(r"\w*", after)
    word = head + piece + (tail[0].lower() if tail else "")
    words = re.findall(r"\w+|[^\w\s]", before[: len(before) - len(head)].lower())
    previous = words[-1] if words else ""
    return (
        f"piece {starts} {piece}",
        f"letters {head[-2:]}|{piece}",
        f"word {word} {piece}",
        f"pair {previous} {head}|{piece}",
    )


def honest(profile: Profile) -> Profile:
    """The same player without noise, bias or lapses: how good its knowledge is at best."""
    return replace(profile, attention=1.0, noise=0.0, bias=0.0, scale=1.0, quits=0.0)
