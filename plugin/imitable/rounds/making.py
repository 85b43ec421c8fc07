"""From the activations of one unit to a playable target: polarity, pools, scale, reference loss, examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from imitable.campaign import Pool
from imitable.rounds.examples import choose_examples
from imitable.rounds.ground import Ground, Places
from imitable.rounds.pools import STRATA, Drawn, draw_pool, strata_of
from imitable.rounds.records import AnswerKey, Example, Item, MadeTarget, PlayedTarget, Split
from imitable.targets import Polarity, TargetId
from imitable_aggregation import scoring

Floats = npt.NDArray[np.float64]


class TooFlat(Exception):  # the name of a finding, not of an error: such a unit is left out, with a reason
    """This unit cannot be played; the text says why."""


@dataclass(frozen=True)
class Wish:
    """What the campaign asks of every target of one [[targets]] table."""

    polarity: str
    """`pos`, `neg`, `both`, or `auto`: the side with the larger extreme."""
    pool: Pool
    least: tuple[int, int]
    """Fewest practice and held-out items that will do."""
    selected_by: str
    file_hash: str
    """Of the model, as `PlayedTarget.file_hash`."""


@dataclass(frozen=True)
class _Played:
    """One unit on the whole ground, on the side that is played. Arrays have one entry a token."""

    polarity: Polarity
    raw: Floats
    y: Floats
    """The activation in the target's polarity."""
    size: Floats
    """What the scale's bound and the strata go by: `y`, or |y| for `both`."""
    bound: float
    """99.9 % quantile of `size` over the corpus."""

    def strata(self, places: Places) -> npt.NDArray[np.intp]:
        return strata_of(self.size[places.token], self.bound)


def choose_polarity(asked: str, values: Floats) -> Polarity:
    """The side to play: as asked, or for `auto` the side with the larger extreme."""
    if asked != "auto":
        return cast(Polarity, asked)
    return "pos" if values.max() >= -values.min() else "neg"


def make_target(
    identity: TargetId,
    *,
    ground: Ground,
    raw: npt.NDArray[np.float32],
    wish: Wish,
    score: float | None,
    derive: Callable[..., str],
    rng: np.random.Generator,
) -> MadeTarget:
    """Make one target of the unit's raw activations (one entry a token of the ground's windows, laid end to end).

    `derive` makes ids from the campaign key. Raises TooFlat, with the reason in words, for a unit that never fires,
    is too flat, or has too few items.
    """
    unit = _played(raw.astype(np.float64), ground, wish.polarity)
    identity = replace(identity, polarity=unit.polarity)
    pools = {
        split: _pool(unit, ground.places(split), size=size, least=least, split=split, rng=rng)
        for split, size, least in _sizes(wish)
    }
    s, m = _scale(unit, np.concatenate([places.token for places, _ in pools.values()]))
    shown = scoring.display(unit.y, s=s, m=m, polarity=unit.polarity)
    items, answers = [], []
    for split, (places, drawn) in pools.items():
        for at, weight, stratum in zip(range(len(places)), drawn.weights, drawn.strata, strict=True):
            number, position, token = (int(each[at]) for each in (places.window, places.position, places.token))
            window = ground.windows[number]
            item_id = "i_" + derive("item", identity, split, window.document, window.text, position)
            items.append(
                Item(
                    item_id=item_id,
                    target_id=str(identity),
                    split=split,
                    text=window.text,
                    token_ids=window.token_ids,
                    offsets=window.offsets,
                    position=position,
                    document=window.document,
                    stratum=STRATA[int(stratum)],
                    weight=float(weight),
                )
            )
            values = tuple(unit.raw[ground.starts[number] : ground.ends[number]].tolist())
            answers.append(AnswerKey(item_id, float(shown[token]), float(unit.raw[token]), values))
    target = PlayedTarget(
        target_id=str(identity),
        model_id=identity.model,
        kind=identity.kind,
        site=identity.site,
        unit=identity.index,
        polarity=unit.polarity,
        selected_by=wish.selected_by,
        l_ref=_reference(items, answers),
        scale_s=s,
        scale_m=m,
        file_hash=wish.file_hash,
        score=score,
    )
    places = ground.places("examples")
    chosen = choose_examples(places, unit.size[places.token], unit.strata(places), bound=unit.bound, rng=rng)
    examples = [
        Example(
            target_id=str(identity),
            place=place,
            role=role,
            text=ground.windows[number].text,
            offsets=ground.windows[number].offsets,
            position=position,
            values=tuple(shown[ground.starts[number] : ground.ends[number]].tolist()),
        )
        for place, (role, number, position) in enumerate(chosen)
    ]
    return MadeTarget(target, tuple(items), tuple(answers), tuple(examples))


def _played(raw: Floats, ground: Ground, asked: str) -> _Played:
    corpus = ground.everywhere.token
    polarity = choose_polarity(asked, raw[corpus])
    y = scoring.played(raw, polarity)
    size = np.abs(y) if polarity == "both" else y
    bound = float(np.quantile(size[corpus], 0.999))
    if not bound > 0:
        raise TooFlat("never fires: its 99.9 % quantile over the corpus is not above zero")
    return _Played(polarity, raw, y, size, bound)


def _sizes(wish: Wish) -> tuple[tuple[Split, int, int], ...]:
    return ("practice", wish.pool.practice, wish.least[0]), ("held_out", wish.pool.held_out, wish.least[1])


def _pool(
    unit: _Played, places: Places, *, size: int, least: int, split: Split, rng: np.random.Generator
) -> tuple[Places, Drawn]:
    """The places drawn for one split's pool, and how they were drawn."""
    drawn = draw_pool(unit.strata(places), places.document, size, rng)
    if len(drawn.pairs) < least:
        raise TooFlat(f"has too few items: {len(drawn.pairs)} for {split}, and at least {least} are needed")
    return places.at(drawn.pairs), drawn


def _scale(unit: _Played, pool: npt.NDArray[np.intp]) -> tuple[float, float]:
    """`s` and `m` of the display scale: the median of what is positive in the pool, and the scale's upper end."""
    size = unit.size[pool]
    if not (size > 0).any():
        raise TooFlat("never fires: no item of its pool is above zero")
    return float(np.median(size[size > 0])), max(unit.bound, float(size.max()))


def _reference(items: list[Item], answers: list[AnswerKey]) -> float:
    truths = [answer.truth for item, answer in zip(items, answers, strict=True) if item.split == "held_out"]
    reference = scoring.l_ref(truths)
    if reference < scoring.FLATTEST_L_REF:
        raise TooFlat(f"is too flat: l_ref {reference:.2f}, and at least {scoring.FLATTEST_L_REF} is needed")
    return reference
