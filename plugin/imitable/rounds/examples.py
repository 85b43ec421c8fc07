"""Which texts are shown as examples of a target: from documents of their own, the strongest first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imitable.rounds.ground import Ints, Places

TOP, MIDDLE, CONTRAST = 3, 2, 2
"""Examples shown: strongest, moderate, and without reaction."""


def choose_examples(
    places: Places, size: npt.NDArray[np.float64], strata: Ints, *, bound: float, rng: np.random.Generator
) -> list[tuple[str, int, int]]:
    """(role, window, position) of the examples, each from another document.

    `size` is the played activation at each place (its absolute value where both sides are played), `strata` the
    place's stratum, `bound` the activation that counts as strong. Contrasts come from windows that are quiet
    throughout, where there are any.
    """
    if len(places) == 0:
        return []
    loudest = np.zeros(int(places.window.max()) + 1)
    np.maximum.at(loudest, places.window, size)
    quiet = loudest[places.window] < 0.1 * bound
    quiet = quiet if quiet.any() else strata == 0
    used: set[int] = set()
    chosen: list[tuple[str, int, int]] = []
    shuffled = rng.permutation(len(size))
    for role, wanted, order in (
        ("top", TOP, np.argsort(-size, kind="stable")),
        ("middle", MIDDLE, shuffled[np.isin(strata[shuffled], (1, 2))]),
        ("contrast", CONTRAST, shuffled[quiet[shuffled]]),
    ):
        left = wanted
        for at in order:
            if left == 0:
                break
            if (document := int(places.document[at])) not in used:
                used.add(document)
                chosen.append((role, int(places.window[at]), int(places.position[at])))
                left -= 1
    return chosen
