"""The command that plays a whole campaign before it costs anything: rehearse."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from imitable.cli.building import Campaign, plain

if TYPE_CHECKING:
    from imitable.commands.rehearsed import Cost, Rehearsal

NOT_READY = 4
"""Exit code of a rehearsal that found something to mend."""


def rehearse(
    directory: Campaign,
    platform: Annotated[
        Literal["web", "prolific", "mturk"],
        typer.Option(help="Where it is to be published. (Label Studio: see 'imitable label-studio demo'.)"),
    ] = "web",
    players: Annotated[
        int | None,
        typer.Option(min=2, help="People who come. Default: everybody, or as many as make some 20,000 guesses."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.5, max=600, help="How long a usual person takes for a sitting. Default: \\[sitting] minutes."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated people.")] = 0,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Keep what was made in this new folder: export, ranking, report, commands."),
    ] = None,
) -> None:
    """Play the whole campaign on a stand-in before it costs anything: simulated people, a moved clock.

    A copy is published, played over HTTP, collected, paid, reconciled and ranked.
    The campaign itself is only read, and nothing reaches another machine.
    Ends with "ready", or with what to mend and exit code 4.
    """
    from imitable.cli.printing import bar
    from imitable.commands.rehearse import rehearse as run

    found = run(directory, platform=platform, players=players, minutes=minutes, seed=seed, keep=keep, progress=bar)
    _show(found, directory)
    if found.problems:
        raise typer.Exit(NOT_READY)


def _show(found: Rehearsal, directory: Path) -> None:
    from imitable.cli.printing import out
    from imitable.cli.results import SIMULATED

    out.print(f"[bold yellow]{SIMULATED}[/], on {found.title}; no money moved")
    for name, said in _rows(found):
        out.print(f"[bold]{name:<8}[/] {plain(said)}")
    if found.happened:
        out.print("What went wrong, and what became of it:")
        for one in found.happened:
            out.print(f"  {plain(one)}")
    out.print(
        f"Assumed, not measured: a usual sitting takes {found.usual.sitting:g} minutes (--minutes), one in ten people "
        f"twice as long, and {found.per_hour:g} come in an hour."
    )
    if found.kept is not None:
        out.print(f"Kept in {plain(str(found.kept))}: results/report.html, guesses, commands.txt and the copy.")
    if found.to_do:
        out.print("Before you publish:")
        for one in found.to_do:
            out.print(f"  {plain(one)}")
    if not found.problems:
        out.print("[bold green]ready[/]")
        return
    out.print("[bold red]not ready[/]. Mend this, and rehearse again:")
    for one in found.problems:
        out.print(f"  {plain(one)}")
    if found.kept is None:
        out.print(f"To look closer: [bold]imitable rehearse {plain(str(directory))} --keep OUT[/]")


def _rows(found: Rehearsal) -> list[tuple[str, str]]:
    """The figures, by what they are about."""
    rows = []
    done, wanted = found.filled
    if found.took:
        share = "" if found.whole else f" (a share: {100 * len(found.took) / max(1, found.places):.0f}%)"
        rows.append(
            (
                "played",
                f"{found.guesses:,} guesses by {len(found.took)} people, for {found.places} places{share}: "
                f"{_span(found.elapsed)} as it would be, {found.seconds:.0f} s here",
            )
        )
        bad = sum(one.person.profile.kind != "learner" for one in found.took)
        slow = sum(one.person.slow for one in found.took)
        rows.append(("people", f"{done} of {wanted} episodes finished; {bad} not in earnest, {slow} slow"))
    if found.cost is not None:
        rows += _cost(found.cost)
    if found.fair is not None:
        fair = found.fair
        floor = f"the floor is {fair.floor.decimal}, {100 * fair.under:.0f}% are under it" if fair.floor.minor else ""
        rows.append(
            (
                "an hour",
                f"earns {fair.per_hour} (median of {fair.sittings} sittings; one takes {fair.active_minutes:.0f} "
                f"minutes{'; ' + floor if floor else ''})",
            )
        )
    if found.forecasts:
        now, twice, four = (f"± {one.width / 2:.2f}" for one in found.forecasts)
        paid = found.cost is not None and found.cost.total.minor
        price = {times: f" for about {found.cost.scaled * times}" if found.cost and paid else "" for times in (2, 4)}
        rows.append(
            (
                "ranking",
                f"intervals of about {now}, ranks to {100 * found.forecasts[0].rank_width:.0f}% of all; with twice the "
                f"annotators {twice}{price[2]}, with four times {four}{price[4]}",
            )
        )
    return rows


def _cost(cost: Cost) -> list[tuple[str, str]]:
    if not cost.total.minor:
        return [("cost", "nothing is paid")]
    cap = "no cap is set" if cost.cap is None else f"the cap is {cost.cap.decimal}"
    said = f"base {cost.base.decimal} + bonus {cost.bonus.decimal} + fees {cost.fees.decimal} = {cost.total}"
    whole = f"; for all places about {cost.scaled}" if cost.scale != 1 else ""
    return [("cost", f"{said}{whole}; at most {cost.worst.decimal}; {cap}")]


def _span(lasted: timedelta) -> str:
    minutes = round(lasted.total_seconds() / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes:02d} min"
