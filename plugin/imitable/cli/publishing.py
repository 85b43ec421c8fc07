"""The commands between a campaign and the platforms its annotators come from: publish, collect, close."""

from __future__ import annotations

from typing import Annotated

import typer

from imitable.cli.building import Campaign, plain

_SHOWN = 20
"""Findings that are printed; all of them are in the file."""


def publish(
    directory: Campaign,
    platform: Annotated[
        str,
        typer.Option(
            help="Where annotators come from: web (personal links), label-studio (tasks in a project of your server)."
        ),
    ] = "web",
    links: Annotated[
        int | None, typer.Option(min=1, help="How many sittings to offer. Default: as many as the campaign needs.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")] = False,
) -> None:
    """Offer the campaign to annotators.

    Safe to repeat, whatever happened: what is there already is not made again.
    """
    from imitable.cli.printing import bar, out
    from imitable.commands.publish import publish as make

    done = make(directory, platform=platform, places=links, dry_run=dry_run, progress=bar)
    out.print(("Would make " if dry_run else "Made ") + plain(done.what) + ".")
    for path in done.files:
        out.print(f"  {plain(str(path))}")
    for note in done.notes:
        out.print(f"  note: {plain(note)}")
    out.print(f"Next: [bold]{plain(done.next_step)}[/]")


def collect(directory: Campaign) -> None:
    """Ask the platforms what they know, and say in what it differs from our record.

    The record counts: nothing that a platform says changes a committed guess.
    All differences are written to DIR/collected.csv. Safe to repeat.
    """
    from imitable.cli.printing import bar, out
    from imitable.commands.collect import collect as run

    done = run(directory, progress=bar)
    for platform, said in done.platforms.items():
        out.print(f"{platform}: {said.sittings} sittings have begun, {len(said.findings)} differences")
        for one in said.findings[:_SHOWN]:
            out.print(f"  [bold]{one.kind}[/] {plain(one.sentence)}")
        if len(said.findings) > _SHOWN:
            out.print(f"  ... and {len(said.findings) - _SHOWN} more, in {plain(str(done.path))}")
    out.print(f"Wrote {plain(str(done.path))}")
    out.print(f"Next: [bold]imitable status {plain(str(directory))}[/]")


def close(
    directory: Campaign,
    now: Annotated[
        bool, typer.Option("--now", help="Also end what has begun; what was done in it counts all the same.")
    ] = False,
) -> None:
    """Stop recruiting: nothing new is begun, and what has begun may be finished.

    'imitable publish' opens the campaign again. Safe to repeat.
    """
    from imitable.cli.printing import out
    from imitable.commands.close import close as run

    for platform, said in run(directory, now=now).items():
        out.print(f"{platform}: {plain(said)}")
    out.print(f"Next: [bold]imitable collect {plain(str(directory))}[/]")
