"""Printing what a ranking or a demo found."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from imitable.cli.printing import out

if TYPE_CHECKING:
    import pandas as pd

    from imitable.commands.demo import Demo
    from imitable_aggregation.rank import RankSummary
    from imitable_aggregation.settings import Settings

SIMULATED = "simulated players: nothing here is about people"
GAP = 2
"""Blanks between columns."""
CONTRASTS = 6
"""Contrasts between groups that are printed."""


def show_ranking(summary: RankSummary, settings: Settings | None = None, *, ends: int = 5) -> None:
    """The best and worst targets with their intervals, contrasts, what was noted, and where the files are."""
    from imitable_aggregation.settings import Settings

    chosen = settings or Settings()
    if summary.simulated:
        out.print(f"[bold yellow]{SIMULATED}[/]")
    _show_order(summary.ranking, ends)
    at = f" at the level {escape(chosen.level)}" if chosen.level is not None else ""
    out.print(f"imitability: expected held-out skill{at}; 1 is exact, 0 is the best constant guess.")
    out.print(f"interval, ranks: hold with a probability of {100 * chosen.coverage:.4g}%.")
    _show_contrasts(summary, chosen)
    for note in summary.notes:
        out.print(f"  note: {escape(note)}")
    if summary.n_quarantined:
        have = "1 row" if summary.n_quarantined == 1 else f"{summary.n_quarantined:,} rows"
        out.print(f"  {have} could not be used: {escape(str(summary.out / 'quarantine.csv'))}")
    more = "ranking.csv, annotators.csv, " + ("" if summary.groups is None else "groups.csv, ")
    out.print(f"Written to {escape(str(summary.out))}: {more}[bold]report.html[/] and more.")


def _show_order(ranking: pd.DataFrame, ends: int) -> None:
    rows: list[tuple[str, ...]] = []
    for row in ranking.to_dict("records"):
        interval = f"[{row['imitability_low']:+.2f}, {row['imitability_high']:+.2f}]"
        ranks = f"{row['rank_low']:.0f}-{row['rank_high']:.0f}"
        value, people = f"{row['imitability']:+.2f}", f"{row['n_annotators']:.0f}"
        rows.append((f"{row['rank']:.0f}", str(row["target_id"]), value, interval, ranks, people))
    if (hidden := len(rows) - 2 * ends) > 0:
        rows[ends : len(rows) - ends] = [("…", f"{hidden} more", "", "", "", "")]
    names = ("rank", "target", "imitability", "interval", "ranks", "annotators")
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    room = out.width - sum(width + GAP for at, width in enumerate(widths) if at != 1)
    table = Table(box=None, pad_edge=False)
    for at, name in enumerate(names):
        table.add_column(name, justify="left" if at == 1 else "right", no_wrap=True)
    for rank, target, *rest in rows:
        table.add_row(rank, *(escape(cell) for cell in (fitting(target, room), *rest)))
    out.print(table)


def fitting(target_id: str, room: int) -> str:
    """A target's id in so many letters: site and unit whole if they can be, what is before them cut."""
    if len(target_id) <= room:
        return target_id
    model, *where = target_id.rsplit("/", 2)
    end = "/" + "/".join(where) if len(where) == 2 else ""
    start = room - len(end) - 1
    return f"{model[:start]}…{end}" if end and start >= 0 else f"…{target_id[1 - max(room, 2) :]}"


def _show_contrasts(summary: RankSummary, settings: Settings) -> None:
    """The first contrasts of imitability in sentences, as the report has them."""
    from imitable_aggregation.contrast_words import in_words, noun

    if summary.groups is None:
        return
    told = in_words(summary.groups, settings.coverage, noun=noun(summary.ranking["kind"]), most=CONTRASTS + 1)
    for sentence in told[:CONTRASTS]:
        out.print(f"  {escape(sentence)}")
    if len(told) > CONTRASTS:
        out.print("  … more in groups.csv and report.html")


def show_demo(demo: Demo) -> None:
    """The demo's ranking, whom it found good and bad, and how to go on by hand."""
    rate = demo.guesses / max(demo.seconds_playing, 1e-9) * 60
    out.print(
        f"{demo.built.targets} neurons of stories260K, {len(demo.profiles)} simulated annotators, {demo.guesses} "
        f"guesses over HTTP in {demo.seconds_playing:.0f} s ({rate:,.0f} a minute)\n"
    )
    show_ranking(demo.summary)
    annotators = demo.summary.annotators
    annotators = annotators[annotators["skill"].notna()].sort_values("skill", ascending=False)
    out.print("\nAnnotators by skill, with what they really were:")
    for title, part in (("best", annotators.head(3)), ("worst", annotators.tail(6))):
        found = [
            f"{demo.profiles[row['annotator_id']].name} ({row['skill']:+.2f})"
            for row in part.to_dict("records")
            if row["annotator_id"] in demo.profiles
        ]
        out.print(f"  {title}: {', '.join(found)}")
    left_out = annotators.loc[annotators["excluded"], "annotator_id"]
    really = sum(demo.profiles[name].kind != "learner" for name in left_out if name in demo.profiles)
    bad = sum(profile.kind != "learner" for profile in demo.profiles.values())
    out.print(f"  left out: {len(left_out)}; {really} of them are among the {bad} who were told to play badly")
    campaign = escape(str(demo.campaign))
    out.print(f"\nReport: {escape(str(demo.results / 'report.html'))}")
    program = "imitable" if shutil.which("imitable") else escape(sys.argv[0])
    out.print(f"Play by hand: [bold]{program} serve {campaign}[/] and open http://127.0.0.1:8000{demo.hand_link}")
