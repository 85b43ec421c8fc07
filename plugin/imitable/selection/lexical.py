"""How much of a unit is told by the token alone: what a table over the whole corpus foretells of texts it has not seen.

Where a table foretells an activation, imitating it is a matter of vocabulary. What goes beyond that is the interesting
part.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from imitable.activations import Moments
from imitable.selection.methods import Candidate, Look, kurtosis

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHRINK = 1.0
"""Values of size zero that every mean is taken with: what was seen once is half believed."""
LOOKED_AT = 128
"""Units of highest kurtosis that are looked at closely: as many as one reading of the sample holds."""
TIMES = 4
"""So many times the units wanted are looked at, where that is more."""


def beyond_lexical(sites: Mapping[str, Moments], rng: np.random.Generator, look: Look) -> list[Candidate]:
    """The rarely active first, as `kurtosis` has them; of those, the ones that tables of tokens foretell least.

    The score is the share of the variance that a table of tokens and pairs of tokens leaves over, 0 to about 1, to four
    digits. The units that were not looked at stand after the others, by their kurtosis, without a score.
    """
    by_kurtosis = kurtosis(sites, rng)
    closely = by_kurtosis[: max(LOOKED_AT, TIMES * look.count)]
    found = [
        Candidate(one.site, one.unit, float(f"{1 - share:.4g}"))
        for one, share in zip(closely, look.lexical(closely), strict=True)
    ]
    found.sort(key=lambda one: -(one.score or 0.0))  # of equal scores the one with more kurtosis stays first
    return found + [Candidate(one.site, one.unit) for one in by_kurtosis[len(closely) :]]


class Tables:
    """The tokens of one sample, sorted once for all units: where tables learn, and where they are tried."""

    def __init__(self, tokens: Ints, before: Ints, held_out: npt.NDArray[np.bool_]) -> None:
        """(places,): the token, the one before it, and whether it is in a document that tables do not learn from."""
        self._learn, self._try = ~held_out, held_out
        pairs = (before.astype(np.int64) << 32) + tokens
        self._token = _numbered(tokens, self._learn)
        self._pair = _numbered(pairs, self._learn)

    def foretell(self, values: npt.NDArray[np.floating]) -> float:
        """R² on the held-out places of the shrunken mean by token, and by pair of what that leaves; 0 at least."""
        learned = values[self._learn].astype(np.float64)
        tried = values[self._try].astype(np.float64)
        if not len(tried) or not len(learned) or not tried.var() > 0:
            return 0.0
        usual = learned.mean()
        left, guess = learned - usual, np.full(len(tried), usual)
        for at, place in (self._token, self._pair):
            means = np.bincount(at, left) / (np.bincount(at) + SHRINK)
            left, guess = left - means[at], guess + np.append(means, 0.0)[place]
        return max(0.0, 1 - float(((tried - guess) ** 2).mean() / tried.var()))


def _numbered(keys: Ints, learn: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """The key's number at every place learned from; at every other place too, and -1 for one that was not seen."""
    seen, at = np.unique(keys[learn], return_inverse=True)
    others = keys[~learn]
    if not len(seen):
        return at, np.full(len(others), -1)
    place = np.minimum(np.searchsorted(seen, others), len(seen) - 1)
    return at, np.where(seen[place] == others, place, -1)
