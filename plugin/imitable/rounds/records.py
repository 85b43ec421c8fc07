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
class MadeTarget:
    """Everything a build makes of one target."""

    target: PlayedTarget
    items: tuple[Item, ...]
    answers: tuple[AnswerKey, ...]
    examples: tuple[Example, ...]
