"""One unit's activations to one target: polarity, scale, reference loss, examples, and why a unit is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from imitable.activations import Shard, Window
from imitable.campaign import Pool
from imitable.rounds import (
    Answered,
    Draft,
    MadeTarget,
    Split,
    TooFlat,
    Wish,
    assign_splits,
    calibrate,
    draft_target,
    make_target,
    of_unit,
    see,
)
from imitable.targets import TargetId

LENGTH = 12
Raw = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Ground:
    """Windows of a corpus in shards, with the split of every document."""

    windows: list[Window]
    splits: list[Split]
    per_shard: int
    """Windows a shard."""

    @property
    def asked(self) -> npt.NDArray[np.bool_]:
        """Tokens that may be asked about, in all windows end to end."""
        return np.tile(np.arange(LENGTH) >= 8, len(self.windows))

    def of_split(self, split: Split) -> npt.NDArray[np.bool_]:
        """Those of one split."""
        mine = np.array([self.splits[window.document] == split for window in self.windows])
        both: npt.NDArray[np.bool_] = self.asked & np.repeat(mine, LENGTH)
        return both

    def answers(self, raw: Raw) -> dict[tuple[int, int], Answered]:
        """The truths at every (shard, token)."""
        return {
            (number // self.per_shard, number % self.per_shard * LENGTH + position): Answered(
                window, raw[number * LENGTH : (number + 1) * LENGTH], position
            )
            for number, window in enumerate(self.windows)
            for position in window.focusable
        }


def ground(documents: int = 120, each: int = 2, *, per_shard: int = 60) -> Ground:
    """`each` windows a document, of twelve one-letter tokens; the last four may be asked about."""
    offsets = tuple((at, at + 1) for at in range(LENGTH))
    made = []
    for number in range(documents * each):
        text = "".join(chr(97 + number // 26**at % 26) for at in range(LENGTH))
        ids = tuple(number * LENGTH + at for at in range(LENGTH))
        made.append(Window(text, ids, offsets, tuple(range(8, LENGTH)), number // each))
    splits = assign_splits(documents, practice=24, held_out=16, rng=np.random.default_rng(0))
    return Ground(made, splits, per_shard)


def sparse(where: Ground, *, side: float = 1.0, seed: int = 0) -> Raw:
    """Fires strongly in two fifths of the windows, and hardly elsewhere."""
    rng = np.random.default_rng(seed)
    fires = np.repeat(rng.random(len(where.windows)) < 0.4, LENGTH)
    loud = rng.gamma(2.0, 1.0, len(fires)) * fires
    return (side * loud + rng.normal(0, 0.02, len(fires))).astype(np.float32)


def wish(polarity: str = "auto", least: tuple[int, int] = (12, 8)) -> Wish:
    return Wish(polarity=polarity, pool=Pool(practice=24, held_out=16), least=least, selected_by="units")


def draft(where: Ground, raw: Raw, wished: Wish, *, upper: float | None = None) -> Draft:
    """As a build does it, shard by shard."""
    tokens = np.arange(len(raw), dtype=np.int32)[where.asked]
    side = calibrate(raw[where.asked], tokens, wished.polarity)
    kept = wished.nothing_yet()
    splits = np.array(where.splits)
    for number, first in enumerate(range(0, len(where.windows), where.per_shard)):
        shard = Shard.of(where.windows[first : first + where.per_shard])
        column = raw[first * LENGTH : first * LENGTH + len(shard.tokens), None]
        seen = see(shard, column, [side], [np.random.default_rng([2, number])])
        for split in kept:
            mine = of_unit(seen, 0, shard=number, documents=splits[seen.document] == split)
            kept[split] = kept[split].taking(mine)
    return draft_target(
        TargetId("m", "mlp.0", 7),
        side=side,
        kept=kept,
        upper=side.bound if upper is None else upper,
        wish=wished,
        score=None,
        file_hash="0" * 64,
        rng=np.random.default_rng(1),
    )


def make(where: Ground, raw: Raw, polarity: str = "auto", **changes: Any) -> MadeTarget:
    wished = wish(polarity, changes.pop("least", (12, 8)))
    return make_target(
        draft(where, raw, wished, **changes),
        answers=where.answers(raw),
        wish=wished,
        derive=lambda *parts: str(abs(hash(parts))),
    )


@pytest.mark.parametrize(("side", "played"), [(1.0, "pos"), (-1.0, "neg")])
def test_auto_plays_the_side_with_the_larger_extreme(side: float, played: str) -> None:
    where = ground()
    made = make(where, sparse(where, side=side))
    assert made.target.polarity == played
    assert made.target.target_id == f"m/mlp.0/7{'' if played == 'pos' else ':neg'}"
    assert all((answer.activation * side > 0) or answer.truth < 1 for answer in made.answers)


@pytest.mark.parametrize("polarity", ["pos", "neg", "both"])
def test_the_scale_is_the_one_of_the_contract(polarity: str) -> None:
    where = ground()
    raw = sparse(where) - sparse(where, seed=5)
    made = make(where, raw, polarity)
    asked = raw[where.asked].astype(np.float64)
    y = {"pos": asked, "neg": -asked, "both": np.abs(asked)}[polarity]
    pool = np.array([answer.activation for answer in made.answers])
    played = {"pos": pool, "neg": -pool, "both": np.abs(pool)}[polarity]
    assert made.target.scale_s == np.median(played[played > 0])
    assert made.target.scale_m == max(np.quantile(y, 0.999), played.max())
    signed = -pool if polarity == "neg" else pool
    z = 10 * np.arcsinh(signed / made.target.scale_s) / np.arcsinh(made.target.scale_m / made.target.scale_s)
    truth = np.array([answer.truth for answer in made.answers])
    np.testing.assert_allclose(truth, z if polarity == "both" else np.maximum(z, 0), rtol=1e-12, atol=1e-12)
    if polarity == "both":
        assert truth.min() < -2
        assert truth.max() > 2
    measuring = truth[[item.split == "held_out" for item in made.items]]
    assert made.target.l_ref == pytest.approx(np.abs(measuring - np.median(measuring)).mean())


def test_the_extreme_of_the_whole_corpus_bounds_the_scale_also_where_it_is_in_no_pool() -> None:
    where = ground()
    raw = sparse(where)
    extreme = np.float32(raw.max() * 1.5)
    raw[np.flatnonzero(where.of_split("examples"))[:8]] = extreme
    made = make(where, raw)
    assert made.target.scale_m == extreme
    assert max(answer.activation for answer in made.answers) < extreme
    assert max(answer.truth for answer in made.answers) < 10


def test_an_item_above_the_quantile_widens_the_scale() -> None:
    where = ground()
    raw = sparse(where)
    made = make(where, raw, upper=0.5)
    assert made.target.scale_m == max(answer.activation for answer in made.answers)
    assert max(answer.truth for answer in made.answers) == pytest.approx(10, abs=1e-12)


@pytest.mark.parametrize("per_shard", [14, 1000])
def test_every_item_tells_its_own_token_and_its_stratum(per_shard: int) -> None:
    where = ground(per_shard=per_shard)
    raw = sparse(where)
    made = make(where, raw)
    asked = raw[where.asked]
    side = calibrate(asked, np.arange(len(raw), dtype=np.int32)[where.asked], "auto")
    for item, answer in zip(made.items, made.answers, strict=True):
        token = item.token_ids[item.position]
        assert item.item_id == answer.item_id
        assert where.splits[item.document] == item.split
        assert answer.activation == raw[token]
        assert list(answer.values) == raw[list(item.token_ids)].tolist()
        assert item.text[slice(*item.focus)] == item.text[item.position]
        edge = answer.activation / side.bound
        expected = {"active-1": (0.1, 0.3), "active-2": (0.3, 0.6), "active-3": (0.6, 1), "active-top": (1, np.inf)}
        low, high = expected.get(item.stratum, (-np.inf, 0.1))
        assert low <= edge < high
        assert (item.stratum == "inactive-hard") == (token in side.hot and edge < 0.1 and edge > -0.1)
    assert len({item.item_id for item in made.items}) == len(made.items) == 40
    assert len({item.document for item in made.items}) == 40


@pytest.mark.parametrize("polarity", ["pos", "both"])
def test_examples_come_from_documents_of_their_own_strongest_first(polarity: str) -> None:
    where = ground(documents=400)
    raw = sparse(where)
    made = make(where, raw, polarity)
    texts = {window.text: window.document for window in where.windows}
    documents = [texts[example.text] for example in made.examples]
    assert [example.role for example in made.examples] == ["top"] * 3 + ["middle"] * 2 + ["contrast"] * 2
    assert [example.place for example in made.examples] == list(range(7))
    assert len(set(documents)) == 7
    assert {where.splits[document] for document in documents} == {"examples"}
    tops = [abs(example.values[example.position]) for example in made.examples[:3]]
    loudest = np.sort(np.abs(raw[where.of_split("examples")]))[::-1]
    scale = 10 / np.arcsinh(made.target.scale_m / made.target.scale_s)
    assert tops[0] == pytest.approx(min(10.0, scale * np.arcsinh(loudest[0] / made.target.scale_s)))
    assert tops == sorted(tops, reverse=True)
    assert all(abs(example.values[example.position]) > 0.5 for example in made.examples[3:5])
    assert max(max(example.values[8:]) for example in made.examples[5:]) < 3
    assert all(len(example.values) == LENGTH for example in made.examples)


def test_without_a_document_for_examples_there_are_none() -> None:
    where = ground()
    lone = Ground(where.windows, ["practice" if split == "examples" else split for split in where.splits], 60)
    assert make(lone, sparse(lone)).examples == ()


def test_a_unit_that_never_fires_is_left_out() -> None:
    where = ground()
    with pytest.raises(TooFlat, match=r"never fires: its 99\.9 % quantile over the corpus is not above zero"):
        make(where, -np.abs(sparse(where)), "pos")
    with pytest.raises(TooFlat, match="never fires"):
        make(where, np.zeros_like(sparse(where)))


def test_a_unit_that_is_silent_in_float32_at_all_its_items_is_left_out() -> None:
    where = ground()
    raw, wished = sparse(where), wish()
    silent = where.answers(np.zeros_like(raw))
    with pytest.raises(TooFlat, match="never fires: no item of its pool is above zero"):
        make_target(draft(where, raw, wished), answers=silent, wish=wished, derive=lambda *parts: str(hash(parts)))


def test_a_unit_that_hardly_varies_is_left_out() -> None:
    where = ground()
    noise = np.random.default_rng(0).normal(0, 1e-3, len(where.windows) * LENGTH)
    steady = (5.0 + noise).astype(np.float32)
    with pytest.raises(TooFlat, match=r"has too few items: 0 for practice, and at least 12 are needed"):
        make(where, steady)


def test_a_unit_whose_truths_are_all_alike_is_too_flat() -> None:
    where = ground()
    raw = np.full(len(where.windows) * LENGTH, 0.0999, dtype=np.float32)
    raw[np.flatnonzero(where.asked)[::2]] = 0.1001
    raw[where.of_split("examples")] = 1.0
    with pytest.raises(TooFlat, match=r"is too flat: l_ref 0\.\d\d, and at least 0\.5 is needed"):
        make(where, raw)


def test_a_unit_with_too_few_documents_is_left_out() -> None:
    where = ground(documents=30)
    with pytest.raises(TooFlat, match=r"has too few items: \d+ for practice, and at least 24 are needed"):
        make(where, sparse(where), least=(24, 16))
    none = Ground(where.windows, ["examples"] * 30, 60)
    with pytest.raises(TooFlat, match=r"has too few items: 0 for practice, and at least 12 are needed"):
        make(none, sparse(none))


def test_the_same_seed_makes_the_same_target() -> None:
    where = ground()
    assert make(where, sparse(where)) == make(where, sparse(where))
