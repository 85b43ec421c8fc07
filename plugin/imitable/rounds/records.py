"""What a build makes. Question and answer are different types: an `Item` has no field that could hold a truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imitable.targets import Polarity

Split = Literal["examples", "practice", "held_out"]
"""Every document belongs to exactly one, for the whole campaign."""


@dataclass(frozen=True)
class PlayedTarget:
    """One target of the campaign, with its display scale. Fixed at build."""

    target_id: str
    model_id: str
    kind: str
    site: str
    unit: int
    polarity: Polarity
    selected_by: str
    """Selection methods that chose it, joined by `;`, or `units`."""
    l_ref: float
    """Loss of the best constant guess on the held-out items, display units."""
    scale_s: float
    """Median of the positive played activations in the pool (of |y| for `both`), activation units."""
    scale_m: float
    """Upper bound of the scale, activation units."""
    file_hash: str
    """SHA-256 of the model's weights and tokenizer (of the probe or SAE, for those)."""
    score: float | None
    """The selection method's own score."""


@dataclass(frozen=True)
class Item:
    """One text with one focus token, in a target's pool: the question."""

    item_id: str
    target_id: str
    split: Split
    text: str
    token_ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]
    """Characters of `text` that each token covers."""
    position: int
    """Index of the focus token."""
    document: int
    stratum: str
    """The stratum it was drawn from, one of `strata.STRATA`: those that begin with `inactive` are."""
    weight: float
    """Inverse of the probability with which it was drawn from all (text, focus) pairs of its split."""

    @property
    def focus(self) -> tuple[int, int]:
        """Characters [start, end) of the focus token."""
        return self.offsets[self.position]


@dataclass(frozen=True)
class AnswerKey:
    """The answer to one item. Sealed: only the reveal reads it."""

    item_id: str
    truth: float
    """On the display scale, unrounded."""
    activation: float
    """Raw, in the model's unit and sign."""
    values: tuple[float, ...]
    """Raw activations at every token of the text."""


@dataclass(frozen=True)
class Example:
    """A text of the examples' own split, shown with its activations."""

    target_id: str
    place: int
    """Order in which it is shown, from 0."""
    role: str
    """`top`, `middle` or `contrast`."""
    text: str
    offsets: tuple[tuple[int, int], ...]
    position: int
    values: tuple[float, ...]
    """Activations at every token, on the display scale."""


@dataclass(frozen=True)
class Gauge:
    """One thing besides the text that can be read at a level of a target: mostly another unit of the model."""

    target_id: str
    level: str
    place: int
    """Order in which it is shown, from 0."""
    unit: str
    """Id of the unit, as MODEL/SITE/INDEX; empty for `token` and `rest`."""
    chosen_by: str
    """`direction` or `co-activation` (neighbours), `weight` or `correlation` (upstream, downstream), `probe`,
    `declared`; in a table of weights also `token`, the token's own embedding, and `rest`, all that is not listed."""
    strength: float
    """The similarity, connection or correlation that it was chosen by, with its sign; 0 where there is none."""
    weights: tuple[float, ...]
    """At level `weights`: what its activation is multiplied by, one number a part of the unit. Else empty."""


@dataclass(frozen=True)
class Reading:
    """What the gauges of one level show at one item. Computed on exactly the tokens shown."""

    item_id: str
    level: str
    values: tuple[tuple[float, ...], ...]
    """By gauge. One number, -10 to 10, on the scale of `rounds.gauges`; at level `weights` the activation (0 where
    there is none) and then what the gauge adds to each part, so that the last numbers of all gauges add up."""


@dataclass(frozen=True)
class Baseline:
    """How far one automatic player gets on a target. For the runner and the exports: annotators never see it."""

    target_id: str
    player: str
    """One of `rounds.players.PLAYERS`."""
    skill: float
    """Held-out skill, the mean over the pool's held-out items and over simulated episodes; 1 at most."""
    standard_error: float
    """Of that mean, over the episodes."""


@dataclass(frozen=True)
class MadeTarget:
    """Everything a build makes of one target."""

    target: PlayedTarget
    items: tuple[Item, ...]
    answers: tuple[AnswerKey, ...]
    examples: tuple[Example, ...]
    gauges: tuple[Gauge, ...] = ()
    readings: tuple[Reading, ...] = ()
    baselines: tuple[Baseline, ...] = ()
