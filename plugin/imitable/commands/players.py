"""What automatic players make of a build's targets, asked before anybody is paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from imitable.activations import Embedder
from imitable.campaign import Folder
from imitable.commands.gathering import generator_for
from imitable.commands.progress import Progress
from imitable.errors import ModelError
from imitable.rounds import EPISODES, SOLVED, Baseline, MadeTarget, Schooling, baselines, solved
from imitable.store import read_build, read_report

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
    episode = folder.config.episode
    schooling = Schooling(episode.practice, [level != "text" for level in episode.levels], episode.shade_reveal)
    found = []
    with progress("Asking automatic players", len(made)) as advance:
        for one in made:
            rng = generator_for(folder, "players", one.target.target_id)
            found.append(replace(one, baselines=baselines(one, schooling, rng, embed=embed)))
            advance(1)
    about = {
        "episodes": EPISODES,
        "practice": episode.practice,
        "levels": list(episode.levels),
        "shade_reveal": episode.shade_reveal,
        "nearest": embed.about if embed else "did not play: [players] embedding names no model",
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


def players_of(folder: Folder) -> Players | None:
    """What the players of the build in DIR/build say; None without a build, or where it asked none."""
    report = read_report(folder.build)
    found = read_build(folder.build)["baselines"] if report is not None else []
    if report is None or not found:
        return None
    nearest = report.get("players", {}).get("nearest")
    return told(found, without=f"nearest {nearest}" if isinstance(nearest, str) else "")


def told(found: Sequence[Baseline], *, without: str = "") -> Players:
    """Baselines of any number of targets, by target."""
    by_target: dict[str, list[Baseline]] = {}
    for one in found:
        by_target.setdefault(one.target_id, []).append(one)
    best = {name: max(each, key=lambda one: one.skill) for name, each in by_target.items()}
    return Players(len(by_target), solved(by_target), best, without)


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
