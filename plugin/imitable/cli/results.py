"""Printing what a ranking or a demo found."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from imitable.cli.printing import out

if TYPE_CHECKING:
    from imitable.commands.demo import Demo
    from imitable_aggregation.rank import RankSummary

SIMULATED = "simulated players: nothing here is about people"


def show_ranking(summary: RankSummary, *, ends: int = 5) -> None:
    """The best and worst targets with their intervals, what was noted, and where the files are."""
    if summary.simulated:
        out.print(f"[bold yellow]{SIMULATED}[/]")
    ranking = summary.ranking
    table = Table(box=None, pad_edge=False)
    for name, justify in (("rank", "right"), ("target", "left"), ("imitability", "right"), ("interval", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # both are rich's own words
    table.add_column("ranks", justify="right")
    table.add_column("annotators", justify="right")
    cut = len(ranking) > 2 * ends
    rows: list[dict[Any, Any]] = ranking.to_dict("records")
    for at, row in enumerate(rows):
        if cut and ends <= at < len(rows) - ends:
            if at == ends:
                table.add_row("…", f"{len(rows) - 2 * ends} more")
            continue
        table.add_row(
            f"{row['rank']:.0f}",
            escape(str(row["target_id"])),
            f"{row['imitability']:+.2f}",
            f"[{row['imitability_low']:+.2f}, {row['imitability_high']:+.2f}]".replace("[", r"\["),
            f"{row['rank_low']:.0f}-{row['rank_high']:.0f}",
            f"{row['n_annotators']:.0f}",
        )
    out.print(table)
    out.print("imitability: expected held-out skill; 1 is exact, 0 is the best constant guess.")
    for note in summary.notes:
        out.print(f"  note: {escape(note)}")
    if summary.n_quarantined:
        out.print(f"  {summary.n_quarantined} rows could not be used: {escape(str(summary.out / 'quarantine.csv'))}")
    out.print(f"Written to {escape(str(summary.out))}: ranking.csv, annotators.csv, [bold]report.html[/] and more.")


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
