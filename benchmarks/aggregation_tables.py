"""The aggregation benchmark's report in tables."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from aggregation_standing import Rows, error, goals, mean, values

COLUMNS = {
    "tau": ("tau", "{:.3f}"),
    "top": ("top 10 % hit", "{:.2f}"),
    "cover": ("90 % intervals cover", "{:.3f}"),
    "width": ("width", "{:.2f}"),
    "rank_cover": ("rank intervals cover", "{:.3f}"),
    "rank_width": ("width, of all ranks", "{:.2f}"),
    "start_tau": ("start: tau", "{:.3f}"),
    "start_cover": ("covers", "{:.3f}"),
    "gain_tau": ("gain: tau", "{:.3f}"),
    "gain_cover": ("covers", "{:.3f}"),
    "people": ("annotators, Spearman", "{:.2f}"),
    "cpu": ("CPU s", "{:.2f}"),
    "wall": ("s", "{:.2f}"),
}


@dataclass
class Results:
    """What was measured, a row a campaign and method."""

    machine: list[str]
    seeds: list[int]
    limit: int
    """Seconds of CPU that a rival may take."""
    main: dict[str, Rows] = field(default_factory=dict)
    """By assignment: correlated with skill, then at random."""
    small: dict[str, Rows] = field(default_factory=dict)
    large: Rows = field(default_factory=list)
    fresh: Rows = field(default_factory=list)
    conduct: Rows = field(default_factory=list)
    crowd: Rows = field(default_factory=list)
    good: Rows = field(default_factory=list)
    shared: Rows = field(default_factory=list)
    commands: Rows = field(default_factory=list)

    def everything(self) -> Rows:
        """Rows of all methods on all campaigns."""
        return [row for rows in (*self.main.values(), *self.small.values(), self.large) for row in rows]


def report(results: Results) -> str:
    """The whole report as Markdown."""
    skilled, random = results.main.values()
    lines = [
        "# How near rankings come to the truth",
        "",
        "Made by `make benchmark-aggregation`; `benchmarks/aggregation.py` says how. Simulated campaigns of known "
        "truth, 15 % of the annotators bad players, about ten episodes a target; means over campaigns, ± standard "
        "error over campaigns in the goals. The simulator is not the estimator's model, and was frozen before "
        f"estimators were tuned. First seed: {results.seeds[0]}.",
        "",
        *(f"- {line}" for line in results.machine),
        "",
        "## Goals",
        "",
        *goals(
            skilled=skilled,
            random=random,
            everything=results.everything(),
            large=results.large,
            conduct=results.conduct,
            crowd=results.crowd,
            good=results.good,
        ),
    ]
    for title, rows in results.main.items():
        lines += ["", f"## {title[0].upper()}{title[1:]}, {rows[0]['guesses']:,} guesses", "", *_table(rows)]
    if results.large:
        lines += ["", "## Assignment correlated with skill, a million guesses", ""]
        lines += [f"Rivals may take {results.limit} seconds of CPU and half of the machine's memory."]
        lines += ["", *_table(results.large)]
    for title, rows in results.small.items():
        lines += ["", f"## {title[0].upper()}{title[1:]}, 10,000 guesses on fifty targets", "", *_table(rows)]
    for section in (_fresh, _good, _shared, _agreement, _players, _crowds, _commands):
        lines += ["", *section(results)]
    return "\n".join(lines)


def _table(rows: Rows) -> list[str]:
    """A line a method, with the number of campaigns where it is not all of them."""
    methods = list(dict.fromkeys(row["method"] for row in rows))
    keys = [key for key in COLUMNS if any(key in row for row in rows)]
    campaigns = len({row["seed"] for row in rows})
    lines = [
        "| " + " | ".join(["method", *(COLUMNS[key][0] for key in keys)]) + " |",
        "| --- |" + " ---: |" * len(keys),
    ]
    absent = []
    for method in methods:
        mine = [row for row in rows if row["method"] == method]
        done = [row for row in mine if "absent" not in row]
        absent += [f"{method}, seed {row['seed']}: {row['absent']}." for row in mine if "absent" in row]
        if done:
            name = method if len(done) == campaigns else f"{method} ({len(done)} of {campaigns} campaigns)"
            lines.append(_line(name, [(mean(done, key), COLUMNS[key][1]) for key in keys]))
    lines += ["", f"Means of {campaigns} campaigns." if campaigns > 1 else "One campaign.", *absent]
    return lines


def _line(name: str, cells: list[tuple[float, str]]) -> str:
    shown = ["" if math.isnan(value) else form.format(value) for value, form in cells]
    return "| " + " | ".join([name.replace("|", "&#124;"), *shown]) + " |"


def _fresh(results: Results) -> list[str]:
    seeds = sorted({row["seed"] for row in results.fresh})
    keys = ("tau", "cover", "rank_cover", "start_tau", "start_cover", "gain_tau", "gain_cover")
    lines = [f"## imitable alone, on seeds {seeds[0]} to {seeds[-1]}: mean ± standard error", ""]
    lines += ["| | " + " | ".join(COLUMNS[key][0] for key in keys) + " |", "| --- |" + " ---: |" * len(keys)]
    for correlated in dict.fromkeys(row["correlated"] for row in results.fresh):
        for method in dict.fromkeys(row["method"] for row in results.fresh):
            found = [values(results.fresh, key, correlated=correlated, method=method) for key in keys]
            cells = [f"{sum(some) / len(some):.3f} ± {error(some):.3f}" for some in found]
            lines.append("| " + " | ".join([f"{method}, {_assignment(correlated)}", *cells]) + " |")
    return lines


def _assignment(correlated: float) -> str:
    return "correlated with skill" if correlated else "at random"


def _good(results: Results) -> list[str]:
    lines = ["## Nobody bad, 30 % of the targets opaque", ""]
    lines += ["| assignment | left out, of people | most in a campaign | 90 % intervals cover | rank intervals cover |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    for correlated in dict.fromkeys(row["correlated"] for row in results.good):
        rows = [row for row in results.good if row["correlated"] == correlated]
        share, cover, ranks = (mean(rows, key) for key in ("share_excluded", "cover", "rank_cover"))
        cells = [(100 * share, "{:.2f} %"), (100 * max(values(rows, "share_excluded")), "{:.2f} %")]
        lines.append(_line(_assignment(correlated), [*cells, (cover, "{:.3f}"), (ranks, "{:.3f}")]))
    return lines


def _shared(results: Results) -> list[str]:
    lines = ["## Few held-out items, met by everybody", ""]
    lines += ["Intervals are for fresh items, and so must widen. With very few, l_ref itself is a chance matter.", ""]
    lines += ["| held-out items of a target | 90 % intervals cover | width | taken as fresh for everybody | width |"]
    lines += ["| ---: | ---: | ---: | ---: | ---: |"]
    for size in dict.fromkeys(row["items"] for row in results.shared):
        which = [{"items": size, "shared": shared} for shared in (True, False)]
        cells = [
            (mean(results.shared, key, **w), f) for w in which for key, f in (("cover", "{:.3f}"), ("width", "{:.3f}"))
        ]
        lines.append(_line(str(size), cells))
    return lines


def _agreement(results: Results) -> list[str]:
    lines = ["## Agreement with mixedlm: same knots, nobody left out, no correlated effect, items taken as fresh", ""]
    lines += ["| guesses | campaigns | r of the targets' held-out levels | least | ours, CPU s | mixedlm, CPU s |"]
    lines += ["| ---: | ---: | ---: | ---: | ---: | ---: |"]
    rows = [row for row in results.everything() if "r" in row]
    for size in sorted({row["guesses"] for row in rows}):
        some = [row for row in rows if row["guesses"] == size]
        r = values(some, "r")
        cells = [(float(len(r)), "{:.0f}"), (mean(some, "r"), "{:.5f}"), (min(r), "{:.5f}")]
        lines.append(_line(f"{size:,}", [*cells, (mean(some, "our_cpu"), "{:.2f}"), (mean(some, "cpu"), "{:.2f}")]))
    return [*lines, "", "Both with their standard deviations, which take mixedlm about a third of its time."]


def _players(results: Results) -> list[str]:
    lines = ["## Bad players: area under the ROC curve", ""]
    lines += ["| rule | described kinds | least | half of the guesses at random | least | CPU s |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
    for rule in dict.fromkeys(row["rule"] for row in results.conduct):
        cells: list[tuple[float, str]] = []
        for key, form in (("auc_described", "{:.4f}"), ("auc_undescribed", "{:.3f}")):
            found = values(results.conduct, key, rule=rule)
            cells += [(sum(found) / len(found), form), (min(found), form)]
        lines.append(_line(rule, [*cells, (mean(results.conduct, "seconds", rule=rule), "{:.2f}")]))
    return lines


def _crowds(results: Results) -> list[str]:
    lines = ["## The crowd: mean skill over held-out items", ""]
    heads = {"single": "one guess", "plain": "mean of all guesses", "median": "their median", "crowd": "**imitable**"}
    lines += [f"| assignment | {' | '.join(heads.values())} | its 90 % intervals cover |", "| --- |" + " ---: |" * 5]
    for correlated in dict.fromkeys(row["correlated"] for row in results.crowd):
        cells: list[tuple[float, Any]] = [
            (mean(results.crowd, key, correlated=correlated), "{:.3f}") for key in (*heads, "cover")
        ]
        lines.append(_line(_assignment(correlated), cells))
    return lines


def _commands(results: Results) -> list[str]:
    lines = ["## `imitable rank`, from a CSV on disk to the report", ""]
    lines += ["Start-up, reading and checking, the crowd, all tables and figures included.", ""]
    lines += ["| guesses | CSV, MB | CPU s | s |", "| ---: | ---: | ---: | ---: |"]
    for row in results.commands:
        cells = [(row["bytes"] / 1e6, "{:.1f}"), (row["cpu"], "{:.1f}"), (row["wall"], "{:.1f}")]
        lines.append(_line(f"{row['guesses']:,}", cells))
    return lines
