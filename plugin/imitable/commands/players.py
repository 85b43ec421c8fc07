"""What automatic players make of a build's targets, asked before anybody is paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from imitable.activations import Embedder
from imitable.campaign import Folder
from imitable.commands.gathering import generator_for
from imitable.commands.progress import Progress
from imitable.errors import ModelError
from imitable.rounds import (
    EPISODES,
    SOLVED,
    AtLevel,
    Baseline,
    MadeTarget,
    Schooling,
    at_levels,
    baselines,
    skills_of,
    solved,
)
from imitable.store import read_build, read_report

WORTH = 0.01
"""Skill below which no readings are said to help, however sure it is."""
NAMED = 3
"""Solved targets that a note names."""


def embedder_of(folder: Folder) -> Embedder | None:
    """The sentence embeddings that [players] asks for. Raises ModelError for a model that cannot be loaded."""
    wanted = folder.config.players.embedding
    try:
        return Embedder(wanted, base=folder.path) if wanted else None
    except ModelError as error:
        raise ModelError(f"[players] embedding: {str(error).replace('[model] path', 'it')}") from error


def with_baselines(
    folder: Folder, made: Sequence[MadeTarget], embed: Embedder | None, progress: Progress
) -> tuple[list[MadeTarget], dict[str, Any]]:
    """The targets with their baselines, and what a build's report says of the players.

    They are shown what annotators are shown, by [episode] as it stands.
    """
    episode, looks = folder.config.episode, folder.config.readings.looks
    schooling = Schooling(episode.practice, episode.levels, episode.shade_reveal, looks)
    found: list[MadeTarget] = []
    by_level: list[dict[str, Any]] = []
    with progress("Asking automatic players", len(made)) as advance:
        for one in made:
            skills = skills_of(one, schooling, generator_for(folder, "players", one.target.target_id), embed=embed)
            found.append(replace(one, baselines=baselines(one, skills)))
            by_level += [asdict(each) for each in at_levels(one, skills)]
            advance(1)
    about = {
        "episodes": EPISODES,
        "practice": episode.practice,
        "levels": list(episode.levels),
        "shade_reveal": episode.shade_reveal,
        "looks": looks,
        "nearest": embed.about if embed else "did not play: [players] embedding names no model",
        "by_level": by_level,
    }
    return found, about


@dataclass(frozen=True)
class Players:
    """What the automatic players of a build say."""

    targets: int
    solved: list[Baseline]
    """The best table of every target that one solves, the most skilled first."""
    best: dict[str, Baseline]
    """The best player of every target."""
    without: str
    """Who did not play, and why, in words; empty where all did."""
    levels: list[Help]
    """What every level that shows anything beside texts adds for them, by the order of [episode] levels."""


@dataclass(frozen=True)
class Help:
    """What a level's readings add for automatic players, over the best on each target that goes by its texts alone."""

    level: str
    targets: int
    with_readings: float
    """Held-out skill of the best that goes by readings, the mean over targets."""
    without: float
    """The same of the best that does not."""
    standard_error: float
    """Of the difference, over targets; where there is one, over its simulated episodes."""
    better: int
    """Targets on which readings add more than two standard errors."""
    worse: int
    """Targets on which the one who goes by them does so much worse."""
    most: AtLevel
    """Where they add most."""

    @property
    def gain(self) -> float:
        """The difference, the mean over targets."""
        return self.with_readings - self.without

    @property
    def likely(self) -> bool:
        """Whether the level is likely to help: the difference is more than two standard errors."""
        return _beyond_chance(self.gain, self.standard_error)


def _beyond_chance(gain: float, standard_error: float) -> bool:
    """Whether it is more than two standard errors, and at least `WORTH`: where the pool holds no more practice rounds
    than one episode, all simulated ones see the same, and their error is none."""
    return gain > max(2 * standard_error, WORTH)


def helps(found: Sequence[AtLevel]) -> list[Help]:
    """What levels add, by level; without those that show nothing beside texts."""
    by_level: dict[str, list[AtLevel]] = {}
    for one in found:
        if one.reader:
            by_level.setdefault(one.level, []).append(one)
    return [
        Help(
            level,
            len(each),
            float(np.mean([one.skills[one.reader][0] for one in each])),
            float(np.mean([one.skills[one.without][0] for one in each])),
            float(np.std([one.gain for one in each], ddof=1) / np.sqrt(len(each)))
            if len(each) > 1
            else each[0].standard_error,
            sum(_beyond_chance(one.gain, one.standard_error) for one in each),
            sum(_beyond_chance(-one.gain, one.standard_error) for one in each),
            max(each, key=lambda one: one.gain),
        )
        for level, each in by_level.items()
    ]


def players_of(folder: Folder) -> Players | None:
    """What the players of the build in DIR/build say; None without a build, or where it asked none."""
    report = read_report(folder.build)
    found = read_build(folder.build)["baselines"] if report is not None else []
    if report is None or not found:
        return None
    about = report.get("players", {})
    nearest = about.get("nearest")
    return told(
        found,
        without=f"nearest {nearest}" if isinstance(nearest, str) else "",
        levels=[AtLevel(**one) for one in about.get("by_level", ())],
    )


def told(found: Sequence[Baseline], *, without: str = "", levels: Sequence[AtLevel] = ()) -> Players:
    """Baselines of any number of targets, by target."""
    by_target: dict[str, list[Baseline]] = {}
    for one in found:
        by_target.setdefault(one.target_id, []).append(one)
    best = {name: max(each, key=lambda one: one.skill) for name, each in by_target.items()}
    return Players(len(by_target), solved(by_target), best, without, helps(levels))


def in_words(players: Players) -> str:
    """What tables solve, in one sentence; empty where they solve nothing."""
    if not players.solved:
        return ""
    named = ", ".join(f"{one.target_id} ({one.player} {one.skill:+.2f})" for one in players.solved[:NAMED])
    more = len(players.solved) - NAMED
    return (
        f"tables of tokens solve {len(players.solved)} of {players.targets} targets (a skill of {SOLVED:g} or more "
        f"from what one annotator is shown): {named}{f' and {more} more' if more > 0 else ''}"
    )
