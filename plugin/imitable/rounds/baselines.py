"""How far automatic players get on a target: episodes like people's, simulated at build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from imitable.rounds.episodes import plan_rounds
from imitable.rounds.players import PLAYERS, TABLES, Floats, Ints, Lesson, Texts
from imitable.rounds.readers import CONSULT, READERS, look_up, read_off
from imitable.rounds.records import AnswerKey, Baseline, Example, Item, MadeTarget, PlayedTarget
from imitable_aggregation import scoring

EPISODES = 12
"""Simulated episodes a target, each with practice rounds of its own; every one is played at all levels."""
SOLVED = 0.5
"""Skill from which on a table is said to solve a target: it halves the loss of the best constant."""

_WITHOUT = {"readings": "constant", "bigram_readings": "bigram"}
"""Of those that go by readings: who plays for them where a level shows none."""

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""From texts to their sentence embeddings, (texts, width)."""

Played = tuple[str, str]
"""A level, and who played at it."""


@dataclass(frozen=True)
class Schooling:
    """What of a target an annotator is shown, by the campaign's [episode]."""

    practice: int
    """Practice rounds of an episode."""
    levels: Sequence[str]
    """Of which each episode has one: every one but `text` shows the examples."""
    shaded: bool
    """Whether an answered practice text is shown with the values at all its tokens."""
    looks: int = 3
    """Units that may be looked up in a round, at level `consult`."""


@dataclass(frozen=True)
class AtLevel:
    """How far automatic players get on one target at one level."""

    target_id: str
    level: str
    skills: dict[str, tuple[float, float]]
    """By player: held-out skill, and its standard error over simulated episodes."""
    without: str
    """The best of those that go by texts alone."""
    reader: str
    """The best of those that go by what the level shows; empty where it shows nothing beside texts."""
    gain: float
    """Skill of `reader` above that of `without`, in the same episodes; 0 without a reader."""
    standard_error: float
    """Of the gain, over simulated episodes."""


def skills_of(
    made: MadeTarget, schooling: Schooling, rng: np.random.Generator, *, embed: Embed | None = None
) -> dict[Played, Floats]:
    """By level and player: the skill over all held-out items in every simulated episode, (episodes,).

    `nearest` plays where there is `embed`, and those that go by readings at the levels that the target has any of.
    """
    keys = {answer.item_id: answer.truth for answer in made.answers}
    truths = np.array([keys[item.item_id] for item in made.items if item.split == "held_out"])
    found: dict[Played, list[float]] = {}
    for guesses in guessed(made, schooling, rng, embed=embed):
        for played, mine in guesses.items():
            found.setdefault(played, []).append(1 - float(np.abs(mine - truths).mean()) / made.target.l_ref)
    return {played: np.array(each) for played, each in found.items()}


def baselines(made: MadeTarget, skills: Mapping[Played, Floats]) -> tuple[Baseline, ...]:
    """The skill of every player, the mean over all levels and over episodes, to four decimals.

    At a level without readings, who goes by them has what is left of him there, so that all are over the same levels.
    """
    levels = dict.fromkeys(level for level, _ in skills)
    found = []
    for name in dict.fromkeys(name for _, name in skills):
        each = [skills[at, name if (at, name) in skills else _WITHOUT[name]] for at in levels]
        found.append(Baseline(made.target.target_id, name, *_mean(np.mean(each, axis=0))))
    return tuple(found)


def at_levels(made: MadeTarget, skills: Mapping[Played, Floats]) -> list[AtLevel]:
    """The skill of every player at every level, and what the readings there add for those that go by them."""
    found = []
    for level in dict.fromkeys(level for level, _ in skills):
        mine = {name: each for (at, name), each in skills.items() if at == level}

        def best(names: Mapping[str, object], mine: Mapping[str, Floats] = mine) -> str:
            return max((name for name in mine if name in names), key=lambda name: mine[name].mean(), default="")

        without, reader = best(PLAYERS), best(READERS)
        gain = _mean(mine[reader] - mine[without]) if reader else (0.0, 0.0)
        each = {name: _mean(skill) for name, skill in mine.items()}
        found.append(AtLevel(made.target.target_id, level, each, without, reader, *gain))
    return found


def guessed(
    made: MadeTarget, schooling: Schooling, rng: np.random.Generator, *, embed: Embed | None = None
) -> list[dict[Played, Floats]]:
    """Every player's guesses at all held-out items, by level; one entry a simulated episode.

    No held-out truth is looked at.
    """
    items = {split: [item for item in made.items if item.split == split] for split in ("practice", "held_out")}
    practice, examples = items["practice"], list(made.examples)
    read: list[Item | Example] = [*examples, *practice, *items["held_out"]]
    texts = _texts(read, embed)
    shown = len(examples) + len(practice)
    values = _values(made, practice, texts.tokens.shape[1], shaded=schooling.shaded)
    asked = np.arange(shown, len(texts.position))
    pool = {"practice": [(str(row), not item.stratum.startswith("inactive")) for row, item in enumerate(practice)]}
    players = {name: player for name, player in PLAYERS.items() if name != "nearest" or embed}
    readings = _readings(made, read, schooling.levels)
    low = scoring.lowest(made.target.polarity)
    found = []
    for _ in range(EPISODES):
        plan = plan_rounds(pool, practice=schooling.practice, held_out=0, rng=rng)
        practised = [len(examples) + int(one.item_id) for one in plan]
        guesses: dict[Played, Floats] = {}
        for with_examples in dict.fromkeys(level != "text" for level in schooling.levels):
            rows = [*(range(len(examples)) if with_examples else ()), *practised]
            levels = [level for level in schooling.levels if (level != "text") == with_examples]
            if not rows:  # nobody is shown anything
                middle = np.full(len(asked), (low + scoring.TOP) / 2)
                guesses |= {(level, name): middle for level in levels for name in players}
                continue
            lesson = Lesson(texts.only(rows), values[rows])
            said = {name: play(lesson, texts.only(asked)) for name, play in players.items()}
            guesses |= {(level, name): guess for level in levels for name, guess in said.items()}
            for level in levels:
                if level in readings and practised:
                    seen = readings[level]
                    if level == CONSULT:
                        seen = _looked_up(seen, practised, lesson.answers[-len(practised) :], asked, schooling.looks)
                    known = replace(texts, readings=seen)
                    lesson = Lesson(known.only(rows), values[rows])
                    guesses |= {(level, name): play(lesson, known.only(asked)) for name, play in READERS.items()}
        found.append({played: np.clip(guess, low, scoring.TOP) for played, guess in guesses.items()})
    return found


def _values(made: MadeTarget, practice: Sequence[Item], longest: int, *, shaded: bool) -> Floats:
    """Answers that examples and practice texts are shown with, (texts, longest)."""
    answers = {answer.item_id: answer for answer in made.answers}
    values = np.full((len(made.examples) + len(practice), longest), np.nan)
    for row, example in enumerate(made.examples):
        values[row, : len(example.values)] = np.round(example.values, 1)
    heads = [(item.item_id, item.text[: item.focus[1]]) for item in made.items]  # in a text, they would be told by it
    for row, item in enumerate(practice, len(made.examples)):
        answer = answers[item.item_id]
        if shaded and not any(item.text.startswith(head) for name, head in heads if name != item.item_id):
            values[row, : len(answer.values)] = _as_shown(answer, made.target)
        values[row, item.position] = round(answer.truth, 1)
    return values


def _readings(made: MadeTarget, read: Sequence[Item | Example], levels: Sequence[str]) -> dict[str, Floats]:
    """What is to be read at each level that shows anything, (texts, features); nan at examples."""
    by_level: dict[str, dict[str, Sequence[Sequence[float]]]] = {}
    for one in made.readings:
        by_level.setdefault(one.level, {})[one.item_id] = one.values
    found: dict[str, Floats] = {}
    for level in levels:
        if level in by_level:
            rows = [row for row, one in enumerate(read) if isinstance(one, Item)]
            shown = [by_level[level][one.item_id] for one in read if isinstance(one, Item)]
            features = read_off(level, np.array(shown))
            found[level] = np.full((len(read), features.shape[1]), np.nan)
            found[level][rows] = features
    return found


def _looked_up(readings: Floats, practised: Sequence[int], answers: Floats, asked: Ints, looks: int) -> Floats:
    """What of the readings a player sees who chooses units; nan where none was looked up."""
    seen = np.full_like(readings, np.nan)
    seen[practised], units = look_up(readings[practised], answers, looks=looks)
    seen[np.ix_(asked, units)] = readings[np.ix_(asked, units)]
    return seen


def _mean(each: Floats) -> tuple[float, float]:
    """Mean over episodes, and its standard error, to four decimals."""
    return round(float(each.mean()), 4) + 0.0, round(float(each.std(ddof=1) / np.sqrt(len(each))), 4) + 0.0


def best_table(found: Sequence[Baseline]) -> Baseline | None:
    """The best of the tables of tokens; None where none has played."""
    return max((one for one in found if one.player in TABLES), key=lambda one: one.skill, default=None)


def solved(found: Mapping[str, Sequence[Baseline]]) -> list[Baseline]:
    """The best table of every target that one solves, the most skilled first. `found` is by target."""
    best = [one for each in found.values() if (one := best_table(each)) is not None and one.skill >= SOLVED]
    return sorted(best, key=lambda one: (-one.skill, one.target_id))


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
