"""The questions of a campaign, held in memory while it is served. There is no truth in here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from sqlalchemy import select

from imitable.game.checks import Check, check_of, checks
from imitable.game.panels import Panel, read_panels
from imitable.game.views import ExampleText, Piece, Stimulus
from imitable.store import Store, tables
from imitable.targets import Polarity
from imitable_aggregation import scoring
from imitable_templates.texts import Texts

Unit = tuple[str, str, int]
"""Model, site and index: what the sides of one unit have in common."""


@dataclass(frozen=True)
class PlayableTarget:
    """What the game must know of a target to ask about it."""

    target_id: str
    polarity: Polarity
    examples: tuple[ExampleText, ...]
    pools: dict[str, Sequence[tuple[str, bool]]]
    """`practice` and `held_out`: (item_id, drawn from an active stratum)."""
    unit: Unit
    """Who learned one of its sides knows the other."""

    @property
    def low(self) -> float:
        """Lower end of its scale."""
        return scoring.lowest(self.polarity)


@dataclass(frozen=True)
class Content:
    """Everything that may be shown before a guess."""

    targets: dict[str, PlayableTarget]
    stimuli: dict[str, Stimulus]
    """By item_id, of the pools' items."""
    build_hash: str | None
    """The build that they come from."""
    checks: tuple[Check, ...]
    panels: dict[tuple[str, str], Panel]
    """What is shown beside a target's texts at a level, by both."""
    twins: dict[str, str]
    """The first id of an item that another side of its unit has, too, by item_id: one answer tells both."""

    @property
    def low(self) -> float:
        """Lower end of the widest scale in the campaign: the warm-up is played on it."""
        return min((target.low for target in self.targets.values()), default=0.0)

    def asked(self, item_id: str) -> str:
        """What names an item's question, whichever side of the unit asks it."""
        return self.twins.get(item_id, item_id)

    def stimulus(self, item_id: str) -> Stimulus:
        """The text of an item of a pool, or of an attention check."""
        check = check_of(item_id, self.checks)
        return self.stimuli[item_id] if check is None else check.stimulus


def read_content(store: Store, words: Texts) -> Content:
    """Read the questions from the store, and the attention checks from the texts. The truths' table is not touched."""
    examples: dict[str, list[ExampleText]] = defaultdict(list)
    pools: dict[str, dict[str, list[tuple[str, bool]]]] = defaultdict(lambda: {"practice": [], "held_out": []})
    stimuli = {}
    questions: dict[tuple[Unit, Stimulus], list[str]] = defaultdict(list)
    build_hash = store.build_hash()
    with store.read() as connection:
        for row in connection.execute(select(tables.examples).order_by("target_id", "place")):
            examples[row.target_id].append(heat_map(row.text, row.offsets, row.values, row.position))
        listed = connection.execute(select(tables.targets).order_by("target_id")).all()
        unit_of = {row.target_id: (row.model_id, row.site, row.unit) for row in listed}
        for row in connection.execute(select(tables.items).order_by("item_id")):
            if row.split == "check":
                continue
            pools[row.target_id][row.split].append((row.item_id, row.active))
            stimuli[row.item_id] = stimulus = Stimulus(
                row.text[: row.focus_start], row.text[row.focus_start : row.focus_end], row.text[row.focus_end :]
            )
            questions[unit_of[row.target_id], stimulus].append(row.item_id)
    targets = {
        row.target_id: PlayableTarget(
            row.target_id,
            row.polarity,
            tuple(examples[row.target_id]),
            dict(pools[row.target_id]),
            unit_of[row.target_id],
        )
        for row in listed
    }
    twins = {item: same[0] for same in questions.values() if len(same) > 1 for item in same}
    return Content(targets, stimuli, build_hash, checks(words), read_panels(store), twins)


_BEFORE, _FOCUS, _AFTER = 28, 40, 20
"""Characters, at most, that a reminder of a round has before, of and after its marked token."""


@lru_cache(maxsize=20_000)
def reminder(stimulus: Stimulus) -> Stimulus:
    """The marked token with a few whole words around it; an ellipsis stands where the text was cut."""
    before, after = stimulus.before, stimulus.after
    if len(before) > _BEFORE:
        before = "…" + (before[-_BEFORE:].partition(" ")[2] or before[-_BEFORE:])
    if len(after) > _AFTER:
        after = (after[:_AFTER].rpartition(" ")[0] or after[:_AFTER]) + "…"
    focus = stimulus.focus if len(stimulus.focus) <= _FOCUS else stimulus.focus[:_FOCUS] + "…"
    return Stimulus(before, focus, after)


def heat_map(text: str, offsets: Sequence[Sequence[int]], values: Sequence[float], position: int) -> ExampleText:
    """Cut a text into its tokens' characters, each with its value: the pieces joined are the text, to the letter.

    Where tokens overlap (SentencePiece gives a text's first letter to two), the later one has the characters, and the
    marked one before all. Characters of no token stand in pieces of their own, without a value.
    """
    owner: list[int | None] = [None] * len(text)
    for at, (start, stop) in [*enumerate(offsets), (position, offsets[position])]:
        owner[start:stop] = [at] * (stop - start)
    pieces: list[Piece] = []
    focus = begin = 0
    for mine, characters in groupby(owner):
        end = begin + len(list(characters))
        value = 0.0 if mine is None else values[mine]
        if mine == position:
            focus = len(pieces)
        pieces.append(Piece(text[begin:end], round(value, 1) + 0.0, round(value)))
        begin = end
    return ExampleText(tuple(pieces), focus, pieces[focus].value)
