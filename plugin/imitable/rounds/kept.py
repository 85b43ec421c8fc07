"""A bounded sample of a unit's documents, merged shard by shard: memory does not grow with the corpus.

Documents are kept by the rarest stratum that they hold: of each such class a simple random sample (the smallest
tickets), so that a document's weight is the class' size over what was kept of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from imitable.rounds.records import Split
from imitable.rounds.seen import Seen
from imitable.rounds.strata import LOUDNESS

Ints = npt.NDArray[np.int64]

_TOPS = 32
"""Documents with the largest activations that are remembered for examples."""


@dataclass(frozen=True)
class Documents:
    """Some documents of one split, as one unit sees them. One row a document; places are (shard, token) pairs."""

    document: Ints
    shard: Ints
    counts: Ints
    """(documents, strata)"""
    picks: Ints
    """(documents, strata): a random place of each stratum; -1 where there is none."""
    top: npt.NDArray[np.float32]
    top_at: Ints
    quiet_at: Ints
    ticket: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.document)

    def at(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Documents:
        """Some of the documents."""
        return Documents(*(getattr(self, name)[rows] for name in _COLUMNS))

    def __add__(self, other: Documents) -> Documents:
        return Documents(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in _COLUMNS))

    @property
    def classes(self) -> Ints:
        """The rarest stratum that each document holds, as its loudness."""
        loudest: Ints = np.where(self.counts > 0, LOUDNESS, -1).max(axis=1)
        return loudest


_COLUMNS = ("document", "shard", "counts", "picks", "top", "top_at", "quiet_at", "ticket")


def of_unit(seen: Seen, unit: int, *, shard: int, documents: npt.NDArray[np.bool_]) -> Documents:
    """One unit's view of some of a shard's documents."""
    return Documents(
        document=seen.document[documents],
        shard=np.full(int(documents.sum()), shard, dtype=np.int64),
        counts=seen.counts[unit][documents].astype(np.int64),
        picks=seen.picks[unit][documents].astype(np.int64),
        top=seen.top[unit][documents],
        top_at=seen.top_at[unit][documents].astype(np.int64),
        quiet_at=seen.quiet_at[unit][documents].astype(np.int64),
        ticket=seen.tickets[unit][documents],
    )


@dataclass(frozen=True)
class Kept:
    """What has been kept of one split for one unit."""

    split: Split
    most: int
    """Documents kept of each class, at most."""
    documents: Documents | None = None
    loudest: Documents | None = None
    """Those with the largest activations, loudest first."""
    sizes: tuple[int, ...] = (0,) * (int(LOUDNESS.max()) + 1)
    """Documents seen of each class."""

    def taking(self, new: Documents) -> Kept:
        """With the documents of a further shard."""
        if not len(new):
            return self
        sizes = np.bincount(new.classes, minlength=len(self.sizes)) + np.array(self.sizes)
        both = new if self.documents is None else self.documents + new
        classes = both.classes
        order = np.lexsort((both.document, both.ticket, classes))
        within = np.arange(len(order)) - np.searchsorted(classes[order], classes[order])
        stay = np.sort(order[within < self.most])
        loud = new if self.loudest is None else self.loudest + new
        first = np.lexsort((loud.document, -loud.top))[:_TOPS]
        return replace(self, documents=both.at(stay), loudest=loud.at(first), sizes=tuple(sizes.tolist()))

    def weights(self) -> npt.NDArray[np.float64]:
        """Inverse probability of every kept document to be kept."""
        if self.documents is None:
            return np.empty(0)
        classes = self.documents.classes
        kept = np.bincount(classes, minlength=len(self.sizes))
        weights: npt.NDArray[np.float64] = np.array(self.sizes)[classes] / kept[classes]
        return weights
