"""Who plays in a rehearsal, and how long they take: assumed, not measured. `imitable rehearse` says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from imitable.campaign import Campaign
from imitable.game import toy
from imitable.game.simulated import Profile, draw_profiles

Habit = Literal["hands in", "leaves", "another code", "stops", "forgets"]
"""`hands in`: plays to the end. `leaves`: closes the page halfway, and gives the place back where there is one to give.
`another code`: mistypes the completion code. `stops`: ends early by the button. `forgets`: never hands in."""

_EVERY = 20
_HABITS: dict[int, Habit] = {2: "leaves", 5: "another code", 8: "stops", 11: "forgets", 15: "leaves"}
"""Who of every twenty does not simply play to the end."""
_SLOW = (4, 13)
"""Who of every twenty is slow."""
SLOW, SPREAD, LAPSES = 2.0, 0.3, 0.5
"""Times as long as others; deviation of the logarithm of people's pace; and of one page's time about it."""
CARELESS = 0.4
"""Of the usual time is what those take who do not play in earnest."""
WEIGHTS = {"landing": 4.0, "tutorial": 1.0, "round": 1.0, "first": 3.0, "reveal": 0.3, "questions": 1.0, "done": 0.5}
"""How long each page takes, relative to one guess; `first` is a target's first round, with examples to read."""


@dataclass(frozen=True)
class Person:
    """One simulated annotator, with what it will do."""

    profile: Profile
    habit: Habit
    ends_after: int | None
    """Guesses after which it stops or leaves; None: it plays to the end."""
    pace: float
    """Times the usual time that it takes."""
    slow: bool


@dataclass(frozen=True)
class Usual:
    """How long things take."""

    guess: float
    """Seconds that a usual person takes for one guess."""
    sitting: float
    """Minutes for a whole sitting."""

    @classmethod
    def of(cls, config: Campaign, minutes: float | None) -> Usual:
        """So that a whole sitting of a usual person takes so many minutes: by default, what annotators are told."""
        episode, whole = config.episode, float(config.sitting.minutes) if minutes is None else minutes
        each = episode.rounds - 1 + WEIGHTS["first"] + WEIGHTS["reveal"] * episode.open_until + WEIGHTS["questions"]
        pages = WEIGHTS["landing"] + WEIGHTS["tutorial"] * toy.ROUNDS * (1 + WEIGHTS["reveal"]) + WEIGHTS["done"]
        return cls(whole * 60 / (pages + config.sitting.episodes * each), whole)

    def seconds(self, view: Mapping[str, Any], person: Person, rng: np.random.Generator) -> float:
        """How long a person looks at a page."""
        kind = str(view["kind"])
        if kind == "round":
            kind = "tutorial" if view["tutorial"] else "first" if view["first_of_target"] else "round"
        lapse = float(np.exp(rng.normal(-(LAPSES**2) / 2, LAPSES)))
        return self.guess * WEIGHTS.get(kind, 0.0) * person.pace * lapse


def draw_people(count: int, config: Campaign, rng: np.random.Generator, *, before: int = 0) -> Sequence[Person]:
    """A crowd of `count`; `before` are those who came earlier, so that habits go on in turn.

    Paces are spread evenly over a log-normal distribution, so that even a few people have its median.
    """
    profiles = draw_profiles(count, rng)
    usual = NormalDist(0.0, SPREAD)
    paces = rng.permutation([float(np.exp(usual.inv_cdf((at + 0.5) / count))) for at in range(count)])
    whole = config.episode.rounds * config.sitting.episodes
    people = []
    for at, profile in enumerate(profiles):
        turn = (before + at) % _EVERY
        habit: Habit = _HABITS.get(turn, "hands in")
        ends = int(rng.integers(1, max(2, whole // 2 + 1))) if habit in ("leaves", "stops") else None
        slow = turn in _SLOW
        pace = float(paces[at]) * (SLOW if slow else 1.0) * (1.0 if profile.kind == "learner" else CARELESS)
        people.append(Person(profile, habit, ends, pace, slow))
    return people
