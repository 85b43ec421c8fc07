"""Which texts are shown as examples of a target: from documents of their own, the strongest first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imitable.rounds.kept import Kept
from imitable.rounds.strata import STRATA

TOP, MIDDLE, CONTRAST = 3, 2, 2
"""Examples shown: strongest, moderate, and without reaction."""

_MODERATE = [STRATA.index(name) for name in ("active-1", "active-2", "negative-1", "negative-2")]


@dataclass(frozen=True)
class Chosen:
    """An example's place: shard, token in the shard, document."""

    role: str
    shard: int
    token: int
    document: int


def choose_examples(kept: Kept, rng: np.random.Generator) -> list[Chosen]:
    """The examples of one unit, each from another document.

    Contrasts come from windows that are quiet throughout, where there are any.
    """
    if kept.documents is None or kept.loudest is None:
        return []
    loudest, some = kept.loudest, kept.documents.at(rng.permutation(len(kept.documents)))
    any_of = some.picks[:, _MODERATE]
    moderate = any_of[np.arange(len(some)), np.argmax(any_of, axis=1)]
    quiet = some.quiet_at if (some.quiet_at >= 0).any() else some.picks[:, 0]
    used: set[int] = set()
    chosen: list[Chosen] = []
    for role, wanted, documents, tokens in (
        ("top", TOP, loudest, loudest.top_at),
        ("middle", MIDDLE, some, moderate),
        ("contrast", CONTRAST, some, quiet),
    ):
        left = wanted
        for row in np.flatnonzero(tokens >= 0):
            if left == 0:
                break
            if (document := int(documents.document[row])) not in used:
                used.add(document)
                chosen.append(Chosen(role, int(documents.shard[row]), int(tokens[row]), document))
                left -= 1
    return chosen
