"""From what was seen of one unit to a playable target: pools, scale, reference loss, examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from imitable.activations import Window
from imitable.campaign import Pool
from imitable.rounds.examples import Chosen, choose_examples
from imitable.rounds.kept import Kept
from imitable.rounds.pools import draw_pool
from imitable.rounds.records import AnswerKey, Example, Item, MadeTarget, PlayedTarget, Split
from imitable.rounds.strata import STRATA, Side, TooFlat
from imitable.targets import TargetId
from imitable_aggregation import scoring

Floats = npt.NDArray[np.float64]

KEPT_PER_ITEM = 4
"""Documents kept of each class, for every item that a pool may hold."""


@dataclass(frozen=True)
class Wish:
    """What the campaign asks of every target of one [[targets]] table."""

    polarity: str
    """`pos`, `neg`, `both`, or `auto`: the side with the larger extreme."""
    pool: Pool
    least: tuple[int, int]
    """Fewest practice and held-out items that will do."""
    selected_by: str

    def sizes(self) -> dict[Split, tuple[int, int]]:
        """Items asked for, and the fewest that will do, by split."""
        return {"practice": (self.pool.practice, self.least[0]), "held_out": (self.pool.held_out, self.least[1])}

    def nothing_yet(self) -> dict[Split, Kept]:
        """Where a unit's documents will be kept, by split."""
        most = {split: KEPT_PER_ITEM * size for split, (size, _) in self.sizes().items()}
        return {
            split: Kept(split, most.get(split, KEPT_PER_ITEM * 8)) for split in ("examples", "practice", "held_out")
        }


@dataclass(frozen=True)
class Spot:
    """One drawn item: where its focus token is, and how it was drawn."""

    split: Split
    shard: int
    token: int
    """Its place in the shard."""
    stratum: str
    weight: float


@dataclass(frozen=True)
class Draft:
    """A unit whose items and examples have been drawn, and whose truths are still to be computed."""

    identity: TargetId
    side: Side
    score: float | None
    file_hash: str
    upper: float
    """99.9 % quantile of the played activation over the corpus."""
    spots: tuple[Spot, ...]
    examples: tuple[Chosen, ...]

    def places(self) -> Iterator[tuple[int, int]]:
        """Every (shard, token) whose window the truth is needed of."""
        yield from ((spot.shard, spot.token) for spot in self.spots)
        yield from ((example.shard, example.token) for example in self.examples)


@dataclass(frozen=True)
class Answered:
    """A window with the float32 activations of one unit at all its tokens."""

    window: Window
    values: npt.NDArray[np.float32]
    position: int
    """The focus token."""


def draft_target(
    identity: TargetId,
    *,
    side: Side,
    kept: Mapping[Split, Kept],
    upper: float,
    wish: Wish,
    score: float | None,
    file_hash: str,
    rng: np.random.Generator,
) -> Draft:
    """Draw a unit's items and examples. Raises TooFlat, with the reason in words, for one with too few items."""
    spots: list[Spot] = []
    for split, (size, least) in wish.sizes().items():
        mine = kept[split]
        documents = mine.documents
        drawn = None if documents is None else draw_pool(documents.counts, mine.weights(), side.quota(size), rng)
        if documents is None or drawn is None or len(drawn.rows) < least:
            found = 0 if drawn is None else len(drawn.rows)
            raise TooFlat(f"has too few items: {found} for {split}, and at least {least} are needed")
        for row, stratum, weight in zip(drawn.rows, drawn.strata, drawn.weights, strict=True):
            token = int(documents.picks[row, stratum])
            spots.append(Spot(split, int(documents.shard[row]), token, STRATA[int(stratum)], float(weight)))
    return Draft(
        identity=replace(identity, polarity=side.polarity),
        side=side,
        score=score,
        file_hash=file_hash,
        upper=upper,
        spots=tuple(spots),
        examples=tuple(choose_examples(kept["examples"], rng)),
    )


def make_target(
    draft: Draft, *, answers: Mapping[tuple[int, int], Answered], wish: Wish, derive: Callable[..., str]
) -> MadeTarget:
    """Make the target of a draft. `answers` are by (shard, token); `derive` makes ids from the key.

    Raises TooFlat for a unit that is silent in its pool, or whose truths hardly vary.
    """
    identity = draft.identity
    found = [answers[spot.shard, spot.token] for spot in draft.spots]
    activations = np.array([each.values[each.position] for each in found], dtype=np.float64)
    s, m = _scale(scoring.played(activations, identity.polarity), draft)
    truths = scoring.display(scoring.played(activations, identity.polarity), s=s, m=m, polarity=identity.polarity)
    items, keys = [], []
    for spot, each, activation, truth in zip(draft.spots, found, activations, truths, strict=True):
        window = each.window
        item_id = "i_" + derive("item", identity, spot.split, window.document, window.text, each.position)
        items.append(
            Item(
                item_id=item_id,
                target_id=str(identity),
                split=spot.split,
                text=window.text,
                token_ids=window.token_ids,
                offsets=window.offsets,
                position=each.position,
                document=window.document,
                stratum=spot.stratum,
                weight=spot.weight,
            )
        )
        keys.append(AnswerKey(item_id, float(truth), float(activation), tuple(each.values.astype(float).tolist())))
    target = PlayedTarget(
        target_id=str(identity),
        model_id=identity.model,
        kind=identity.kind,
        site=identity.site,
        unit=identity.index,
        polarity=identity.polarity,
        selected_by=wish.selected_by,
        l_ref=_reference(items, keys),
        scale_s=s,
        scale_m=m,
        file_hash=draft.file_hash,
        score=draft.score,
    )
    examples = []
    for place, chosen in enumerate(draft.examples):
        each = answers[chosen.shard, chosen.token]
        y = scoring.played(each.values.astype(np.float64), identity.polarity)
        examples.append(
            Example(
                target_id=str(identity),
                place=place,
                role=chosen.role,
                text=each.window.text,
                offsets=each.window.offsets,
                position=each.position,
                values=tuple(scoring.display(y, s=s, m=m, polarity=identity.polarity).tolist()),
            )
        )
    return MadeTarget(target, tuple(items), tuple(keys), tuple(examples))


def _scale(y: Floats, draft: Draft) -> tuple[float, float]:
    """`s` and `m` of the display scale: the median of what is positive in the pool, and the scale's upper end."""
    size = np.abs(y) if draft.identity.polarity == "both" else y
    if not (size > 0).any():
        raise TooFlat("never fires: no item of its pool is above zero")
    return float(np.median(size[size > 0])), max(draft.upper, float(size.max()))


def _reference(items: list[Item], answers: list[AnswerKey]) -> float:
    truths = [answer.truth for item, answer in zip(items, answers, strict=True) if item.split == "held_out"]
    reference = scoring.l_ref(truths)
    if reference < scoring.FLATTEST_L_REF:
        raise TooFlat(f"is too flat: l_ref {reference:.2f}, and at least {scoring.FLATTEST_L_REF} is needed")
    return reference
