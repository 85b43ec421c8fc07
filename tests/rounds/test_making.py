"""One unit's activations to one target: polarity, scale, reference loss, and why a unit is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from imitable.activations import Window
from imitable.campaign import Pool
from imitable.rounds import Ground, MadeTarget, TooFlat, Wish, assign_splits, make_target
from imitable.targets import TargetId

LENGTH = 12
Raw = npt.NDArray[np.float32]


def ground(documents: int = 120, each: int = 2) -> Ground:
    """`each` windows a document, of twelve one-letter tokens; the last four may be asked about."""
    offsets = tuple((at, at + 1) for at in range(LENGTH))
    made = []
    for number in range(documents * each):
        text = "".join(chr(97 + number // 26**at % 26) for at in range(LENGTH))
        ids = tuple(number * LENGTH + at for at in range(LENGTH))
        made.append(Window(text, ids, offsets, tuple(range(8, LENGTH)), number // each))
    splits = assign_splits(documents, practice=24, held_out=16, rng=np.random.default_rng(0))
    return Ground(made, splits)


def sparse(where: Ground, *, side: float = 1.0, seed: int = 0) -> Raw:
    """Fires strongly in a fifth of the windows, and hardly elsewhere."""
    rng = np.random.default_rng(seed)
    fires = np.repeat(rng.random(len(where.windows)) < 0.4, LENGTH)
    loud = rng.gamma(2.0, 1.0, len(fires)) * fires
    return (side * loud + rng.normal(0, 0.02, len(fires))).astype(np.float32)


def make(where: Ground, raw: Raw, polarity: str = "auto", **changes: Any) -> MadeTarget:
    wish: dict[str, Any] = {
        "polarity": polarity,
        "pool": Pool(practice=24, held_out=16),
        "least": (12, 8),
        "selected_by": "units",
        "file_hash": "0" * 64,
    }
    return make_target(
        TargetId("m", "mlp.0", 7),
        ground=where,
        raw=raw,
        wish=Wish(**(wish | changes)),
        score=None,
        derive=lambda *parts: str(abs(hash(parts))),
        rng=np.random.default_rng(1),
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
    focusable = raw[where.everywhere.token].astype(np.float64)
    y = {"pos": focusable, "neg": -focusable, "both": np.abs(focusable)}[polarity]
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
    raw[where.places("examples").token[:8]] = extreme
    made = make(where, raw)
    assert made.target.scale_m == extreme
    assert max(answer.activation for answer in made.answers) < extreme
    assert max(answer.truth for answer in made.answers) < 10


def test_every_item_tells_its_own_token() -> None:
    where = ground()
    raw = sparse(where)
    made = make(where, raw)
    for item, answer in zip(made.items, made.answers, strict=True):
        assert item.item_id == answer.item_id
        assert answer.activation == raw[item.token_ids[item.position]]
        assert list(answer.values) == raw[list(item.token_ids)].tolist()
        assert item.text[slice(*item.focus)] == item.text[item.position]


def test_examples_come_from_documents_of_their_own() -> None:
    where = ground()
    made = make(where, sparse(where))
    texts = {window.text: window.document for window in where.windows}
    documents = [texts[example.text] for example in made.examples]
    assert [example.role for example in made.examples] == ["top"] * 3 + ["middle"] * 2 + ["contrast"] * 2
    assert len(set(documents)) == 7
    assert set(documents) <= set(where.places("examples").document.tolist())
    tops = [example.values[example.position] for example in made.examples[:3]]
    assert tops == sorted(tops, reverse=True)
    assert max(max(example.values[8:]) for example in made.examples[5:]) < 3


def test_a_unit_that_never_fires_is_left_out() -> None:
    where = ground()
    with pytest.raises(TooFlat, match=r"never fires: its 99\.9 % quantile over the corpus is not above zero"):
        make(where, -np.abs(sparse(where)), "pos")
    with pytest.raises(TooFlat, match="never fires"):
        make(where, np.zeros_like(sparse(where)))


def test_a_unit_that_hardly_varies_is_left_out() -> None:
    where = ground()
    rng = np.random.default_rng(0)
    steady = np.full(len(where.windows) * LENGTH, 5.0) + rng.normal(0, 1e-3, len(where.windows) * LENGTH)
    with pytest.raises(TooFlat, match=r"has too few items: 0 for practice, and at least 12 are needed"):
        make(where, steady.astype(np.float32))


def test_a_unit_whose_truths_are_all_alike_is_too_flat() -> None:
    where = ground()
    raw = np.full(len(where.windows) * LENGTH, 0.0999, dtype=np.float32)
    raw[where.everywhere.token[::2]] = 0.1001
    raw[where.places("examples").token] = 1.0
    with pytest.raises(TooFlat, match=r"is too flat: l_ref 0\.\d\d, and at least 0\.5 is needed"):
        make(where, raw)


def test_a_unit_with_too_few_documents_is_left_out() -> None:
    where = ground(documents=30)
    with pytest.raises(TooFlat, match=r"has too few items: \d+ for practice, and at least 24 are needed"):
        make(where, sparse(where), least=(24, 16))


def test_the_same_seed_makes_the_same_target() -> None:
    where = ground()
    assert make(where, sparse(where)) == make(where, sparse(where))
