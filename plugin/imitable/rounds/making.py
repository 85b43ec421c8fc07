"""From the activations of one unit to a playable target: polarity, pools, scale, reference loss, examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from imitable.activations import Window
from imitable.campaign import Pool
from imitable.rounds.pools import STRATA, Drawn, draw_pool, strata_of
from imitable.rounds.records import AnswerKey, Example, Item, MadeTarget, PlayedTarget, Split
from imitable.targets import Polarity, TargetId
from imitable_aggregation import scoring

Floats = npt.NDArray[np.float64]

_TOP, _MIDDLE, _CONTRAST = 3, 2, 2
"""Examples shown: strongest, moderate, and without reaction."""


class TooFlat(Exception):  # the name of a finding, not of an error: such a unit is left out, with a reason
    """This unit cannot be played; the text says why."""


class _Pairs:
    """All (window, position) pairs of one split that may be asked about, with the played activation there."""

    def __init__(self, windows: Sequence[Window], y: Sequence[Floats], members: Sequence[int]) -> None:
        self.window = np.array([at for at in members for _ in windows[at].focusable], dtype=np.intp)
        self.position = np.array([at for index in members for at in windows[index].focusable], dtype=np.intp)
        self.document = np.array([windows[at].document for at in self.window], dtype=np.intp)
        self.y = np.concatenate([y[at][list(windows[at].focusable)] for at in members]) if members else np.empty(0)


def choose_polarity(asked: str, values: Floats) -> Polarity:
    """The side to play: as asked, or for `auto` the side with the larger extreme."""
    if asked != "auto":
        return cast(Polarity, asked)
    return "pos" if values.max() >= -values.min() else "neg"


def make_target(
    identity: TargetId,
    *,
    asked_polarity: str,
    windows: Sequence[Window],
    splits: Sequence[Split],
    raw: Sequence[npt.NDArray[np.float32]],
    pool: Pool,
    least: tuple[int, int],
    selected_by: str,
    score: float | None,
    file_hash: str,
    derive: Callable[..., str],
    rng: np.random.Generator,
) -> MadeTarget:
    """Make one target of the unit's raw activations (one array of (tokens,) a window).

    `splits` is by document. `least` is the fewest practice and held-out items that will do. Raises TooFlat, with
    the reason in words, for a unit that never fires, is too flat, or has too few items.
    """
    by_split: dict[Split, list[int]] = {"examples": [], "practice": [], "held_out": []}
    for at, window in enumerate(windows):
        by_split[splits[window.document]].append(at)
    every = np.concatenate([raw[at][list(window.focusable)] for at, window in enumerate(windows)]).astype(np.float64)
    polarity = choose_polarity(asked_polarity, every)
    identity = TargetId(identity.model, identity.site, identity.index, polarity)
    both = polarity == "both"
    y = [scoring.played(values, polarity) for values in raw]
    over_corpus = np.abs(every) if both else scoring.played(every, polarity)
    bound = float(np.quantile(over_corpus, 0.999))
    if not bound > 0:
        raise TooFlat("never fires: its 99.9 % quantile over the corpus is not above zero")

    drawn: dict[Split, tuple[_Pairs, Drawn]] = {}
    for split, size, fewest in (("practice", pool.practice, least[0]), ("held_out", pool.held_out, least[1])):
        pairs = _Pairs(windows, y, by_split[cast(Split, split)])
        got = draw_pool(strata_of(pairs.y, bound, both=both), pairs.document, size, rng) if len(pairs.y) else None
        if got is None or len(got.pairs) < fewest:
            found = 0 if got is None else len(got.pairs)
            raise TooFlat(f"has too few items: {found} for {split}, and at least {fewest} are needed")
        drawn[cast(Split, split)] = (pairs, got)

    pooled = np.concatenate([pairs.y[got.pairs] for pairs, got in drawn.values()])
    positive = np.abs(pooled[pooled != 0]) if both else pooled[pooled > 0]
    if len(positive) == 0:
        raise TooFlat("never fires: no item of its pool is above zero")
    m = max(bound, float((np.abs(pooled) if both else pooled).max()))
    s = float(np.median(positive))

    def shown(values: Floats) -> Floats:
        return scoring.display(values, s=s, m=m, polarity=polarity)

    items, answers = [], []
    for split, (pairs, got) in drawn.items():
        for pair, weight, stratum in zip(got.pairs, got.weights, got.strata, strict=True):
            at, position = int(pairs.window[pair]), int(pairs.position[pair])
            window = windows[at]
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
            truth = float(shown(y[at][position]))
            values = tuple(float(value) for value in raw[at])
            answers.append(AnswerKey(item_id, truth, float(raw[at][position]), values))
    held_out = {item.item_id for item in items if item.split == "held_out"}
    reference = scoring.l_ref([answer.truth for answer in answers if answer.item_id in held_out])
    if reference < scoring.FLATTEST_L_REF:
        raise TooFlat(f"is too flat: l_ref {reference:.2f}, and at least {scoring.FLATTEST_L_REF} is needed")
    target = PlayedTarget(
        target_id=str(identity),
        model_id=identity.model,
        kind=identity.kind,
        site=identity.site,
        unit=identity.index,
        polarity=polarity,
        selected_by=selected_by,
        l_ref=reference,
        scale_s=s,
        scale_m=m,
        file_hash=file_hash,
        score=score,
    )
    chosen = _examples(_Pairs(windows, y, by_split["examples"]), bound, both=both, rng=rng)
    examples = [
        Example(
            target_id=str(identity),
            place=place,
            role=role,
            text=windows[at].text,
            offsets=windows[at].offsets,
            position=position,
            values=tuple(float(value) for value in shown(y[at])),
        )
        for place, (role, at, position) in enumerate(chosen)
    ]
    return MadeTarget(target, tuple(items), tuple(answers), tuple(examples))


def _examples(pairs: _Pairs, bound: float, *, both: bool, rng: np.random.Generator) -> list[tuple[str, int, int]]:
    """(role, window, position) of the examples, each from another document: strongest first, contrasts last."""
    if len(pairs.y) == 0:
        return []
    size = np.abs(pairs.y) if both else pairs.y
    strata = strata_of(pairs.y, bound, both=both)
    loudest = np.zeros(int(pairs.window.max()) + 1)
    np.maximum.at(loudest, pairs.window, size)
    quiet = loudest[pairs.window] < 0.1 * bound
    quiet = quiet if quiet.any() else strata == 0
    used: set[int] = set()
    chosen: list[tuple[str, int, int]] = []
    shuffled = rng.permutation(len(size))
    for role, wanted, order in (
        ("top", _TOP, np.argsort(-size, kind="stable")),
        ("middle", _MIDDLE, shuffled[np.isin(strata[shuffled], (1, 2))]),
        ("contrast", _CONTRAST, shuffled[quiet[shuffled]]),
    ):
        left = wanted
        for pair in order:
            if left == 0:
                break
            if (document := int(pairs.document[pair])) not in used:
                used.add(document)
                chosen.append((role, int(pairs.window[pair]), int(pairs.position[pair])))
                left -= 1
    return chosen
