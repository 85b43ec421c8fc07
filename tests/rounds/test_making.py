"""One unit's activations to one target: polarity, scale, reference loss, examples, and why a unit is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rounds.invented import SPLITS, Invented, invent

from imitable.activations import Window
from imitable.campaign import Pool
from imitable.rounds import Answered, MadeTarget, TooFlat, Wish, draft_target, make_target
from imitable.targets import TargetId

PER_SHARD = 40
CORPUS = replace(invent(400, seed=3), splits=tuple(np.resize(["practice", "held_out", "examples", "practice"], 400)))


def make(corpus: Invented, polarity: str = "auto", *, upper: float | None = None, **changes: Any) -> MadeTarget:
    """Everything that a build does of one unit, on an invented corpus."""
    wish = Wish(
        **{"polarity": polarity, "pool": Pool(practice=24, held_out=16), "least": (12, 8), "selected_by": "u"} | changes
    )
    side = corpus.side(wish.polarity)
    kept = {split: corpus.kept(split, side, most=96, documents=PER_SHARD, seeds=[5])[0] for split in SPLITS}
    draft = draft_target(
        TargetId("m", "mlp.0", 7),
        side=side,
        kept=kept,
        upper=side.bound if upper is None else upper,
        wish=wish,
        score=1.5,
        file_hash="0" * 64,
        rng=np.random.default_rng(1),
    )
    answers = {place: answered(corpus, *place) for place in draft.places()}
    return make_target(draft, answers=answers, wish=wish, derive=lambda *parts: str(abs(hash(parts))))


def answered(corpus: Invented, shard: int, token: int) -> Answered:
    """The window that holds a token of a shard, with the unit's activations."""
    place = int(corpus.starts(PER_SHARD)[shard]) + token
    window = int(corpus.whole.window_at(np.array([place]))[0])
    rows = slice(int(corpus.whole.starts[window]), int(corpus.whole.ends[window]))
    ids = corpus.whole.token_ids(window)
    offsets = tuple((at, at + 1) for at in range(len(ids)))
    shown = Window(corpus.whole.text_of(window), ids, offsets, (), int(corpus.whole.document[window]))
    return Answered(shown, corpus.raw[rows], place - rows.start)


@pytest.mark.parametrize(("sign", "played"), [(1, "pos"), (-1, "neg")])
def test_auto_plays_the_side_with_the_larger_extreme(sign: int, played: str) -> None:
    corpus = replace(CORPUS, raw=sign * np.where(CORPUS.raw > 0, CORPUS.raw, 0.3 * CORPUS.raw))
    made = make(corpus)
    assert made.target.target_id == f"m/mlp.0/7{'' if played == 'pos' else ':neg'}"
    assert all(answer.activation * sign > 0 or answer.truth == 0 for answer in made.answers)


@pytest.mark.parametrize("polarity", ["pos", "neg", "both"])
def test_the_scale_is_the_one_of_the_contract(polarity: str) -> None:
    made = make(CORPUS, polarity, upper=3.0)
    pool = np.array([answer.activation for answer in made.answers])
    played = {"pos": pool, "neg": -pool, "both": np.abs(pool)}[polarity]
    assert made.target.scale_s == np.median(played[played > 0])
    assert made.target.scale_m == max(3.0, played.max())
    signed = -pool if polarity == "neg" else pool
    z = 10 * np.arcsinh(signed / made.target.scale_s) / np.arcsinh(made.target.scale_m / made.target.scale_s)
    truth = np.array([answer.truth for answer in made.answers])
    np.testing.assert_allclose(truth, z if polarity == "both" else np.maximum(z, 0), rtol=1e-12, atol=1e-12)
    measuring = truth[[item.split == "held_out" for item in made.items]]
    assert made.target.l_ref == pytest.approx(np.abs(measuring - np.median(measuring)).mean())
    if polarity == "both":
        assert truth.min() < -2
        assert truth.max() > 2


def test_the_corpus_bounds_the_scale_where_no_item_reaches_as_far() -> None:
    made = make(CORPUS, "pos", upper=1e3)
    assert made.target.scale_m == 1e3
    assert max(answer.truth for answer in made.answers) < 10


def test_every_item_tells_its_own_token_document_and_stratum() -> None:
    made = make(CORPUS)
    side = CORPUS.side("auto")
    for item, answer in zip(made.items, made.answers, strict=True):
        assert item.item_id == answer.item_id
        assert answer.activation == answer.values[item.position]
        assert len(answer.values) == len(item.token_ids) == len(item.text)
        assert CORPUS.splits[item.document] == item.split
        share = abs(answer.activation) / side.bound
        assert item.stratum.startswith("inactive") == (
            share < 0.1 or (answer.activation > 0) != (side.polarity == "pos")
        )
        assert item.weight >= 1
    documents = [item.document for item in made.items]
    assert len(set(documents)) == len(documents)


def test_examples_come_from_documents_of_their_own_strongest_first() -> None:
    made = make(CORPUS)
    assert [example.role for example in made.examples] == ["top"] * 3 + ["middle"] * 2 + ["contrast"] * 2
    texts = {CORPUS.whole.text_of(at): int(CORPUS.whole.document[at]) for at in range(len(CORPUS.whole))}
    documents = [texts[example.text] for example in made.examples]
    assert len(set(documents)) == 7
    assert {CORPUS.splits[document] for document in documents} == {"examples"}
    shown = [example.values[example.position] for example in made.examples]
    assert shown[:3] == sorted(shown[:3], reverse=True)
    assert min(shown[:3]) > max(shown[3:5]) > max(shown[5:])


def test_the_same_seed_makes_the_same_target() -> None:
    assert make(CORPUS) == make(CORPUS)


def test_a_unit_that_never_fires_is_left_out() -> None:
    silent = replace(CORPUS, raw=np.zeros_like(CORPUS.raw))
    with pytest.raises(TooFlat, match=r"never fires: its 99\.9 % quantile over the corpus is not above zero"):
        make(silent)
    with pytest.raises(TooFlat, match="never fires"):
        make(replace(CORPUS, raw=-np.abs(CORPUS.raw)), "pos")


def test_a_unit_that_hardly_varies_is_left_out() -> None:
    noise = np.random.default_rng(0).normal(0, 1e-3, len(CORPUS.raw))
    with pytest.raises(TooFlat, match=r"has too few items: 0 for practice, and at least 12 are needed"):
        make(replace(CORPUS, raw=(5 + noise).astype(np.float32)))


def test_a_unit_with_too_few_documents_is_left_out() -> None:
    with pytest.raises(TooFlat, match=r"has too few items: \d+ for practice, and at least 240 are needed"):
        make(CORPUS, least=(240, 16))
