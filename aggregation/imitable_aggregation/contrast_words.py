"""Contrasts between groups in sentences: a difference is what its interval says, no more."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .group_values import LEVEL
from .sentences import per_cent, skill

MORE = {
    "imitability": "more imitable",
    "start": "easier at the start",
    "gain": "learned more",
}
NOUNS = {"neuron": "neurons", "head": "heads", "direction": "directions", "probe": "probes", "latent": "latents"}
OF = {"model_id": "of", "selected_by": "selected by", "kind": "of kind", "site": "at"}
"""How a value of a column is said; others are `of COLUMN VALUE`."""


def noun(kinds: pd.Series[str]) -> str:
    """What targets of these kinds are called: by their kind, if it is one."""
    found = {str(kind) for kind in kinds if not pd.isna(kind)}
    return NOUNS.get(found.pop(), "targets") if len(found) == 1 else "targets"


def in_words(
    groups: pd.DataFrame, coverage: float = 0.9, *, noun: str = "targets", estimand: str = "imitability", most: int = 12
) -> list[str]:
    """One sentence a contrast of groups.csv, the first `most`, about one estimand.

    `The 9 neurons of layer 3 were more imitable than the 7 of layer 0 by 0.12 (0.03 to 0.21; 90% interval)`, and where
    new targets of the kinds would lie. Where the interval of these targets holds 0, the sentence says that it is open.
    """
    of = groups[groups["estimand"] == estimand]
    these = of[of["population"] == "these"].head(most)
    new = {_key(row): row for row in of[of["population"] == "like_these"].to_dict(orient="records")}
    told = []
    for row in these.to_dict(orient="records"):
        like = new.get(_key(row)) if row["factor"] != LEVEL else None
        told.append(_sentence(row, like, per_cent(coverage), noun, MORE[estimand]))
    return told


def _key(row: dict[Any, Any]) -> tuple[Any, ...]:
    return row["factor"], row["level_a"], row["level_b"]


def _sentence(row: dict[Any, Any], like: dict[Any, Any] | None, interval: str, noun: str, more: str) -> str:
    sides = [(_named(row["factor"], row[f"level_{side}"]), row[f"n_{side}"]) for side in "ab"]
    value, low, high = row["difference"], row["low"], row["high"]
    turned = value < 0
    if turned:
        sides, value, low, high = sides[::-1], -value, -high, -low
    (a, n_a), (b, n_b) = sides
    if row["factor"] == LEVEL:
        one, other, were = f"{noun} {a}", f"those {b}", "were"
    else:
        one = f"the {n_a:,} {noun} {a}" if n_a > 1 else f"the one {noun.removesuffix('s')} {a}"
        other, were = f"the {n_b:,} {b}" if n_b > 1 else f"the one {b}", "were" if n_a > 1 else "was"
    span = f"{skill(value)} ({skill(low)} to {skill(high)}; {interval} interval)"
    if low > 0:
        said = f"{one[:1].upper()}{one[1:]} {were} {more} than {other} by {span}"
    else:
        said = f"Whether {one} {were} {more} than {other} is open: a difference of {span}"
    if like is None:
        return f"{said}."
    ends = (like["low"], like["high"]) if not turned else (-like["high"], -like["low"])
    return f"{said}; for new {noun} like these {skill(ends[0])} to {skill(ends[1])}."


def _named(factor: str, value: str) -> str:
    if factor == LEVEL:
        return f"at the level {value}"
    return f"{OF[factor]} {value}" if factor in OF else f"of {factor.replace('_', ' ')} {value}"
