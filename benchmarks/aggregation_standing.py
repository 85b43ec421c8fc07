"""The aggregation benchmark's report: tables of medians over campaigns, and where imitable stands against its goals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Rows = list[dict[str, Any]]

COLUMNS = {
    "tau": ("tau", "{:.3f}"),
    "top": ("top 10 % hit", "{:.2f}"),
    "cover": ("90 % intervals cover", "{:.3f}"),
    "width": ("width", "{:.2f}"),
    "rank_cover": ("rank intervals cover", "{:.3f}"),
    "rank_width": ("width, of all ranks", "{:.2f}"),
    "start_tau": ("tau of start", "{:.3f}"),
    "start_cover": ("start covers", "{:.3f}"),
    "people": ("annotators, Spearman", "{:.2f}"),
    "cpu": ("CPU s", "{:.2f}"),
}


@dataclass
class Results:
    """What was measured, a row a campaign and method."""

    machine: list[str]
    main: dict[str, Rows] = field(default_factory=dict)
    small: Rows = field(default_factory=list)
    large: Rows = field(default_factory=list)
    agreement: Rows = field(default_factory=list)
    conduct: Rows = field(default_factory=list)
    alarms: Rows = field(default_factory=list)
    crowd: Rows = field(default_factory=list)
    good: Rows = field(default_factory=list)
    shared: Rows = field(default_factory=list)


def mean(rows: Rows, key: str, **which: Any) -> float:
    """Mean over the campaigns of the rows that match; nan without any."""
    values = [row[key] for row in rows if key in row and all(row.get(k) == v for k, v in which.items())]
    return statistics.fmean(values) if values else float("nan")


def report(results: Results, *, ours: str, plain: str, naive: str, sets: str) -> str:
    """The whole report as Markdown."""
    lines = [
        "# How near rankings come to the truth",
        "",
        "Made by `make benchmark-aggregation`; `benchmarks/aggregation.py` says how. Simulated campaigns of known "
        "truth, 15 % of the annotators bad players, about ten episodes a target; means over the campaigns. The "
        "simulator is not the estimator's model; it was frozen before estimators were tuned, and these are its first "
        "seeds, on which nothing was tuned.",
        "",
        *(f"- {line}" for line in results.machine),
    ]
    for title, rows in results.main.items():
        seeds = len({row["seed"] for row in rows})
        lines += ["", f"## {title[0].upper()}{title[1:]}: {seeds} campaigns", "", *_table(rows)]
    if results.large:
        lines += ["", "## A million guesses, assignment correlated with skill", "", *_table(results.large)]
    lines += ["", "## Ten thousand guesses (fifty targets)", "", *_table(results.small)]
    lines += [
        "",
        "## Few held-out items, met by everybody",
        "",
        "Intervals are for fresh items. With very few, l_ref itself is a chance matter.",
        "",
    ]
    lines += ["| held-out items of a target | 90 % intervals cover | width |", "| ---: | ---: | ---: |"]
    for size in sorted({row["items"] for row in results.shared}, reverse=True):
        cover, width = (mean(results.shared, key, items=size) for key in ("cover", "width"))
        lines.append(f"| {size} | {cover:.3f} | {width:.2f} |")
    lines += ["", "## Agreement with mixedlm: same knots, nobody left out, no correlated effect", ""]
    lines += ["| guesses | r of the targets' held-out levels | ours, CPU s | mixedlm, CPU s |", "| ---: " * 4 + "|"]
    for row in results.agreement:
        lines.append(f"| {row['guesses']:,} | {row['r']:.4f} | {row['ours']:.1f} | {row['mixedlm']:.1f} |")
    lines += ["", "## Bad players: area under the ROC curve", ""]
    lines += ["| rule | described kinds | half of the guesses at random | s |", "| --- | ---: | ---: | ---: |"]
    for rule in dict.fromkeys(row["rule"] for row in results.conduct):
        one, two, s = (mean(results.conduct, key, rule=rule) for key in ("auc_described", "auc_undescribed", "seconds"))
        lines.append(f"| {rule.replace('|', '&#124;')} | {one:.4f} | {two:.3f} | {s:.2f} |")
    lines += ["", "## Goals", "", *_goals(results, ours=ours, plain=plain, naive=naive, sets=sets)]
    return "\n".join(lines)


def _table(rows: Rows) -> list[str]:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    keys = [key for key in COLUMNS if any(key in row for row in rows)]
    lines = ["| method | " + " | ".join(COLUMNS[key][0] for key in keys) + " |", "| --- |" + " ---: |" * len(keys)]
    absent = []
    for method in methods:
        why = next((row["absent"] for row in rows if row["method"] == method and "absent" in row), None)
        if why is not None:
            absent.append(f"\n{method}: {why}")
            continue
        cells = [mean(rows, key, method=method) for key in keys]
        shown = [
            "" if math.isnan(cell) else COLUMNS[key][1].format(cell) for key, cell in zip(keys, cells, strict=True)
        ]
        lines.append(f"| {method} | " + " | ".join(shown) + " |")
    return lines + absent


def _alarms(results: Results) -> float:
    return mean(results.alarms, "share_excluded")


def _goals(results: Results, *, ours: str, plain: str, naive: str, sets: str) -> list[str]:
    lines = ["| goal | measured | |", "| --- | --- | --- |"]

    def line(goal: str, value: float, holds: Callable[[float], bool], shown: str = "{:.3f}") -> None:
        if not math.isnan(value):
            lines.append(f"| {goal} | {shown.format(value)} | {'reached' if holds(value) else 'not reached here'} |")

    skilled, random = results.main.values()
    tau = {name: mean(skilled, "tau", method=name) for name in (ours, plain, naive)}
    line("correlated: tau above held-out means by 0.15", tau[ours] - tau[naive], lambda v: v >= 0.15, "{:+.3f}")
    line("correlated: tau above the plain model by 0.01", tau[ours] - tau[plain], lambda v: v >= 0.01, "{:+.3f}")
    gap = mean(random, "tau", method=ours) - mean(random, "tau", method=plain)
    line("at random: tau no worse than the plain model by 0.005", gap, lambda v: v >= -0.005, "{:+.3f}")
    for name, rows in (("correlated", skilled), ("at random", random)):
        line(
            f"{name}: 90 % intervals cover 0.87 to 0.93", mean(rows, "cover", method=ours), lambda v: 0.87 <= v <= 0.93
        )
        line(f"{name}: rank intervals cover 0.88", mean(rows, "rank_cover", method=ours), lambda v: v >= 0.88)
        ratio = mean(rows, "rank_width", method=ours) / mean(rows, "rank_width", method=sets)
        line(f"{name}: at half the width of marginal rank sets", ratio, lambda v: v <= 0.5, "{:.2f}")
    people = mean(skilled, "people", method=ours)
    line("correlated: annotators' skill, Spearman 0.45", people, lambda v: v >= 0.45, "{:.2f}")
    lines.append(f"| (correlated: the same of raw means) | {mean(skilled, 'people', method=naive):.2f} | |")
    rules = {row["rule"] for row in results.conduct}
    rivals = [mean(results.conduct, "auc_described", rule=each) for each in rules if not each.startswith("ours")]
    best = mean(results.conduct, "auc_described", rule="ours: p_bad")
    line("bad players, described: p_bad's AUC above every rival's", best - max(rivals), lambda v: v > 0, "{:+.4f}")
    undescribed = mean(results.conduct, "auc_undescribed", rule="ours: anomaly")
    line("bad players, undescribed: anomaly's AUC 0.88", undescribed, lambda v: v >= 0.88)
    line("nobody bad, both assignments: 1 % left out", 100 * _alarms(results), lambda v: v <= 1, "{:.2f} %")
    line(
        "nobody bad, 30 % opaque: 1 % left out at most", 100 * mean(results.good, "share"), lambda v: v <= 1, "{:.2f} %"
    )
    line("nobody bad: intervals cover 0.87 to 0.93", mean(results.good, "cover"), lambda v: 0.87 <= v <= 0.93)
    lift = mean(results.crowd, "crowd") - mean(results.crowd, "plain")
    line("crowd's skill above the plain mean by 0.05", lift, lambda v: v >= 0.05, "{:+.3f}")
    lines.append(f"| (coverage of the crowd's 90 % intervals) | {mean(results.crowd, 'cover'):.3f} | |")
    line("CPU seconds at 10^5: 2", mean(skilled, "cpu", method=ours), lambda v: v <= 2, "{:.2f}")
    line("CPU seconds at 10^6: 15", mean(results.large, "cpu", method=ours), lambda v: v <= 15, "{:.1f}")
    for row in results.agreement:
        least = 0.999 if row["guesses"] >= 100_000 else 0.97
        line(f"mixedlm at {row['guesses']:,}: r {least}", row["r"], lambda v, least=least: v >= least, "{:.4f}")
    return lines
