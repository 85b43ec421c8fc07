"""An invented corpus and an invented unit, to be looked at shard by shard as a build does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from imitable.activations import Shard
from imitable.rounds import Side, Split, calibrate, of_unit, see
from imitable.rounds.kept import Kept

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Raw = npt.NDArray[np.float32]

SPLITS: tuple[Split, ...] = ("examples", "practice", "held_out")


def laid_out(windows: Iterable[tuple[int, list[int], list[int]]]) -> Shard:
    """A shard of (document, tokens, focusable positions) with a text of one letter a token."""
    documents, tokens, focusable, lengths = [], [], [], []
    for document, ids, asked in windows:
        documents.append(document)
        tokens += ids
        focusable += [at in asked for at in range(len(ids))]
        lengths.append(len(ids))
    return Shard(
        tokens=np.array(tokens, dtype=np.int32),
        focusable=np.array(focusable, dtype=bool),
        lengths=np.array(lengths, dtype=np.int32),
        document=np.array(documents, dtype=np.int64),
        text=np.frombuffer(b"".join(bytes(97 + each % 26 for each in (token,)) for token in tokens), dtype=np.uint8),
        text_ends=np.cumsum(lengths, dtype=np.int64),
    )


@dataclass(frozen=True)
class Invented:
    """A corpus in one piece, and what one unit does on it."""

    whole: Shard
    raw: Raw
    """(tokens,)"""
    splits: tuple[Split, ...]
    """By document."""

    @property
    def asked(self) -> Raw:
        """Activations at all places that may be asked about."""
        return self.raw[self.whole.focusable]

    def side(self, polarity: str) -> Side:
        """As a build finds it, from all of the corpus."""
        return calibrate(self.asked, self.whole.tokens[self.whole.focusable], polarity)

    @cached_property
    def document_of(self) -> Ints:
        """The document of every token."""
        return np.repeat(self.whole.document, self.whole.lengths)

    def of_split(self, split: Split) -> npt.NDArray[np.bool_]:
        """Tokens that may be asked about in a split."""
        mine: npt.NDArray[np.bool_] = self.whole.focusable & (np.array(self.splits)[self.document_of] == split)
        return mine

    def pieces(self, documents: int) -> Iterator[tuple[Shard, npt.NDArray[np.bool_]]]:
        """Shards of so many documents each, and which tokens of the corpus each holds."""
        for first in range(0, len(self.splits), documents):
            chosen = (self.whole.document >= first) & (self.whole.document < first + documents)
            yield self.whole.only(chosen), np.repeat(chosen, self.whole.lengths)

    def kept(self, split: Split, side: Side, *, most: int, documents: int, seeds: Iterable[int]) -> list[Kept]:
        """What is kept of one split, once for every seed. Places are named by (shard, token of that shard)."""
        rngs = [np.random.default_rng(seed) for seed in seeds]
        found = [Kept(split, most) for _ in rngs]
        splits = np.array(self.splits)
        for number, (shard, here) in enumerate(self.pieces(documents)):
            columns = np.repeat(self.raw[here][:, None], len(rngs), axis=1)
            seen = see(shard, columns, [side] * len(rngs), rngs)
            mine = splits[seen.document] == split
            found = [each.taking(of_unit(seen, at, shard=number, documents=mine)) for at, each in enumerate(found)]
        return found

    def starts(self, documents: int) -> Ints:
        """Where the tokens of every shard of so many documents begin in the whole corpus."""
        return np.cumsum([0, *(int(here.sum()) for _, here in self.pieces(documents))])


def invent(documents: int = 200, *, seed: int = 0, windows: int = 3, loud: float = 1.0) -> Invented:
    """Documents have subjects on which the unit fires on either side, most on some tokens; few places are active."""
    rng = np.random.default_rng(seed)
    made = []
    for document in range(documents):
        for _ in range(int(rng.integers(1, windows + 1))):
            length = int(rng.integers(10, 17))
            ids = np.minimum(rng.zipf(1.5, length), 60).tolist()
            asked = rng.permutation(np.arange(4, length))[: int(rng.integers(2, 7))].tolist()
            made.append((document, ids, asked))
    whole = laid_out(made)
    of_document = rng.gamma(0.4, 1.0, documents) * loud * rng.choice([1.0, -0.7], documents, p=[0.6, 0.4])
    of_token = rng.exponential(1.0, 61) ** 2
    subject = np.repeat(of_document[whole.document], whole.lengths)
    raw = subject * of_token[whole.tokens] * rng.exponential(1.0, len(subject)) + rng.normal(0, 0.02, len(subject))
    splits = tuple(SPLITS[at] for at in rng.choice(3, documents, p=[0.2, 0.5, 0.3]))
    return Invented(whole, raw.astype(np.float32), splits)
