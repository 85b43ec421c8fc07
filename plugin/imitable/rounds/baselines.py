"""How far automatic players get on a target: episodes like people's, simulated at build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imitable.rounds.episodes import plan_rounds
from imitable.rounds.players import PLAYERS, TABLES, Floats, Lesson, Texts
from imitable.rounds.records import AnswerKey, Baseline, Example, Item, MadeTarget, PlayedTarget
from imitable_aggregation import scoring

EPISODES = 12
"""Simulated episodes a target, over all levels; each draws practice rounds of its own."""
SOLVED = 0.5
"""Skill from which on a table is said to solve a target: it halves the loss of the best constant."""

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""From texts to their sentence embeddings, (texts, width)."""


@dataclass(frozen=True)
class Schooling:
    """What of a target an annotator is shown, by the campaign's [episode]."""

    practice: int
    """Practice rounds of an episode."""
    examples: Sequence[bool]
    """By level: whether it shows the examples."""
    shaded: bool
    """Whether an answered practice text is shown with the values at all its tokens."""


def baselines(
    made: MadeTarget, schooling: Schooling, rng: np.random.Generator, *, embed: Embed | None = None
) -> tuple[Baseline, ...]:
    """The held-out skill of every automatic player: mean over all held-out items, and over simulated episodes.

    Levels have equal weight. `nearest` plays where there is `embed`. Skills are kept to four decimals.
    """
    items = [item for item in made.items if item.split == "held_out"]
    keys = {answer.item_id: answer.truth for answer in made.answers}
    truths = np.array([keys[item.item_id] for item in items])
    losses: dict[str, list[Floats]] = {}
    for guesses in guessed(made, schooling, rng, embed=embed):
        for name, mine in guesses.items():
            losses.setdefault(name, []).append(np.abs(mine - truths))
    found = []
    for name, each in losses.items():
        skills = 1 - np.array(each).mean(1) / made.target.l_ref
        by_level = [skills[at :: len(schooling.examples)] for at in range(len(schooling.examples))]
        spread = np.sqrt(sum(level.var(ddof=1) / len(level) for level in by_level)) / len(by_level)
        mean = float(np.mean([level.mean() for level in by_level]))
        found.append(Baseline(made.target.target_id, name, round(mean, 4) + 0.0, round(float(spread), 4)))
    return tuple(found)


def guessed(
    made: MadeTarget, schooling: Schooling, rng: np.random.Generator, *, embed: Embed | None = None
) -> list[dict[str, Floats]]:
    """Every player's guesses at all held-out items, one entry a simulated episode, the levels in turn.

    No held-out truth is looked at.
    """
    items = {split: [item for item in made.items if item.split == split] for split in ("practice", "held_out")}
    practice, examples = items["practice"], list(made.examples)
    texts = _texts([*examples, *practice, *items["held_out"]], embed)
    shown = len(examples) + len(practice)
    answers = {answer.item_id: answer for answer in made.answers}
    values = np.full((shown, texts.tokens.shape[1]), np.nan)
    for row, example in enumerate(examples):
        values[row, : len(example.values)] = np.round(example.values, 1)
    heads = [(item.item_id, item.text[: item.focus[1]]) for item in made.items]  # in a text, they would be told by it
    for row, item in enumerate(practice, len(examples)):
        answer = answers[item.item_id]
        if schooling.shaded and not any(item.text.startswith(head) for name, head in heads if name != item.item_id):
            values[row, : len(answer.values)] = _as_shown(answer, made.target)
        values[row, item.position] = round(answer.truth, 1)
    asked = texts.only(np.arange(shown, len(texts.position)))
    pool = {"practice": [(str(row), not item.stratum.startswith("inactive")) for row, item in enumerate(practice)]}
    players = {name: player for name, player in PLAYERS.items() if name != "nearest" or embed}
    low = scoring.lowest(made.target.polarity)
    found = []
    for number in range(_episodes(len(schooling.examples))):
        with_examples = schooling.examples[number % len(schooling.examples)]
        plan = plan_rounds(pool, practice=schooling.practice, held_out=0, rng=rng)
        rows = [*(range(len(examples)) if with_examples else ()), *(len(examples) + int(one.item_id) for one in plan)]
        if rows:
            lesson = Lesson(texts.only(rows), values[rows])
            guesses = {name: np.clip(play(lesson, asked), low, scoring.TOP) for name, play in players.items()}
        else:  # nobody is shown anything
            guesses = dict.fromkeys(players, np.full(len(asked.position), (low + scoring.TOP) / 2))
        found.append(guesses)
    return found


def best_table(found: Sequence[Baseline]) -> Baseline | None:
    """The best of the tables of tokens; None where none has played."""
    return max((one for one in found if one.player in TABLES), key=lambda one: one.skill, default=None)


def solved(found: Mapping[str, Sequence[Baseline]]) -> list[Baseline]:
    """The best table of every target that one solves, the most skilled first. `found` is by target."""
    best = [one for each in found.values() if (one := best_table(each)) is not None and one.skill >= SOLVED]
    return sorted(best, key=lambda one: (-one.skill, one.target_id))


def _episodes(levels: int) -> int:
    """As many for every level, and at least two, or there would be no standard error."""
    return levels * max(2, EPISODES // levels)


def _texts(read: Sequence[Item | Example], embed: Embed | None) -> Texts:
    codes: dict[str, int] = {}
    longest = max(len(one.offsets) for one in read)
    tokens = np.full((len(read), longest), -1, np.int64)
    for row, one in enumerate(read):
        tokens[row, : len(one.offsets)] = [
            codes.setdefault(_written(one.text, *span), len(codes)) for span in one.offsets
        ]
    vectors = None
    if embed is not None:
        raw = embed([one.text[: one.offsets[one.position][1]] for one in read]).astype(np.float64)
        vectors = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)
    return Texts(tokens, np.array([one.position for one in read], dtype=np.int64), vectors)


def _written(text: str, start: int, end: int) -> str:
    """A token as it is read: its characters, after a space where one stands before them or is the first of them."""
    piece = text[start:end]
    first = start == 0 or text[start - 1].isspace() or piece[:1].isspace()
    return (" " if first else "") + (piece.strip() or piece)


def _as_shown(answer: AnswerKey, target: PlayedTarget) -> Floats:
    y = scoring.played(answer.values, target.polarity)
    return np.round(scoring.display(y, s=target.scale_s, m=target.scale_m, polarity=target.polarity), 1)
