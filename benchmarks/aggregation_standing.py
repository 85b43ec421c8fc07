"""Where imitable stands against its goals for rankings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from operator import le
from typing import Any

from aggregation_conditions import LMM_ALL, NAIVE, OUR_SETS, OURS, PLAIN, SETS

Rows = list[dict[str, Any]]
Values = list[float]


def values(rows: Rows, key: str, **which: Any) -> Values:
    """The column of the rows that match and have it, in their order."""
    return [row[key] for row in rows if key in row and all(row.get(k) == v for k, v in which.items())]


def mean(rows: Rows, key: str, **which: Any) -> float:
    """Its mean; nan without any."""
    found = values(rows, key, **which)
    return statistics.fmean(found) if found else math.nan


def goals(
    *, skilled: Rows, random: Rows, everything: Rows, large: Rows, conduct: Rows, crowd: Rows, good: Rows
) -> list[str]:
    """A table of goals, what was measured, and whether that is enough. What was not measured says so."""
    lines = ["| goal | measured | |", "| --- | --- | --- |"]

    def line(goal: str, found: Values, holds: Callable[[float], bool], form: str = "{:.3f}") -> None:
        if not found:
            lines.append(f"| {goal} | | not measured |")
            return
        middle = statistics.fmean(found)
        spread = f" ± {form.format(error(found)).lstrip('+')}" if len(found) > 1 else ""
        lines.append(f"| {goal} | {form.format(middle)}{spread} | {'reached' if holds(middle) else 'not reached'} |")

    def note(what: str, found: Values, form: str = "{:.3f}") -> None:
        lines.append(f"| ({what}) | {form.format(statistics.fmean(found)) if found else ''} | |")

    more = _difference(skilled, "tau", OURS, NAIVE)
    line("correlated: tau above held-out means by 0.15", more, lambda v: v >= 0.15, "{:+.3f}")
    more = _difference(skilled, "tau", OURS, PLAIN)
    line("correlated: tau above the plain model, same cleaned data, by 0.01", more, lambda v: v >= 0.01, "{:+.3f}")
    more = _difference(random, "tau", OURS, PLAIN)
    line("at random: tau no worse than the plain model by 0.005", more, lambda v: v >= -0.005, "{:+.3f}")
    for name, rows in (("correlated", skilled), ("at random", random)):
        line(f"{name}: 90 % intervals cover 0.87 to 0.93", values(rows, "cover", method=OURS), _honest)
        line(f"{name}: rank intervals cover 0.88", values(rows, "rank_cover", method=OURS), lambda v: v >= 0.88)
        for sets, what in ((SETS, "means' marginal sets"), (OUR_SETS, "marginal sets from the same estimates")):
            share = _ratio(rows, "rank_width", OURS, sets)
            line(f"{name}: ... at half the width of {what}", share, lambda v: v <= 0.5, "{:.2f}")
    if large:
        note("correlated, a million guesses: 90 % intervals cover", values(large, "cover", method=OURS))
        note("correlated, a million guesses: rank intervals cover", values(large, "rank_cover", method=OURS))
    _players(conduct, line)
    share = [100 * value for value in values(good, "share_excluded")]
    line("nobody bad, 30 % opaque: at most 1 % left out", share, lambda v: v <= 1, "{:.2f} %")
    line("nobody bad, 30 % opaque: 90 % intervals cover 0.87 to 0.93", values(good, "cover"), _honest)
    people = values(skilled, "people", method=OURS)
    line("correlated: annotators' skill, Spearman 0.45", people, lambda v: v >= 0.45, "{:.2f}")
    note("correlated: the same of their raw means", values(skilled, "people", method=NAIVE), "{:.2f}")
    lift = [row["crowd"] - row["plain"] for row in crowd]
    line("crowd's skill above the plain mean of guesses by 0.05", lift, lambda v: v >= 0.05, "{:+.3f}")
    note("coverage of the crowd's 90 % intervals", values(crowd, "cover"))
    seconds = [row["cpu"] for row in skilled if row["method"] == OURS and row["guesses"] == 100_000]
    line("CPU seconds at 10^5: 2", seconds, lambda v: v <= 2, "{:.2f}")
    line("CPU seconds at 10^6: 15", values(large, "cpu", method=OURS), lambda v: v <= 15, "{:.1f}")
    for size, least in ((10_000, 0.97), (100_000, 0.999)):
        r = values(everything, "r", method=LMM_ALL, guesses=size)
        line(f"mixedlm at {size:,}, least r: {least}", [min(r)] if r else [], partial(le, least), "{:.5f}")
    return lines


def _players(conduct: Rows, line: Callable[..., None]) -> None:
    """p_bad against the best rival, campaign by campaign."""
    rivals = {row["rule"] for row in conduct if not row["rule"].startswith("ours")}
    best = max(rivals, key=lambda rule: mean(conduct, "auc_described", rule=rule), default="")
    p_bad, other = (values(conduct, "auc_described", rule=rule) for rule in ("ours: p_bad", best))
    more = [a - b for a, b in zip(p_bad, other, strict=True)] if best else []
    line(f"bad players, described: AUC above every rival's ({best})", more, lambda v: v > 0, "{:+.4f}")
    for rule in ("p_bad", "anomaly"):
        found = values(conduct, "auc_undescribed", rule=f"ours: {rule}")
        line(f"bad players, undescribed: AUC of {rule} 0.88", found, lambda v: v >= 0.88)


def _honest(cover: float) -> bool:
    return 0.87 <= cover <= 0.93


def error(found: Sequence[float]) -> float:
    """Standard error of the mean."""
    return statistics.stdev(found) / math.sqrt(len(found))


def _pairs(rows: Rows, key: str, a: str, b: str) -> list[tuple[float, float]]:
    """The values of two methods on the campaigns where both have one."""
    first, second = ({row["seed"]: row[key] for row in rows if row["method"] == name and key in row} for name in (a, b))
    return [(first[seed], second[seed]) for seed in first if seed in second]


def _difference(rows: Rows, key: str, a: str, b: str) -> Values:
    return [one - other for one, other in _pairs(rows, key, a, b)]


def _ratio(rows: Rows, key: str, a: str, b: str) -> Values:
    return [one / other for one, other in _pairs(rows, key, a, b)]
