"""The commands between a campaign and the platforms its annotators come from: publish, collect, close."""

from __future__ import annotations

from pathlib import Path
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
            help="Where annotators come from: web (personal links), label-studio (tasks in a project of your server), "
            "prolific (a study there), mturk (HITs on a site that speaks its protocol; Amazon's own has closed)."
        ),
    ] = "web",
    links: Annotated[
        int | None, typer.Option(min=1, help="How many sittings to offer. Default: as many as the campaign needs.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")] = False,
    pilot: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Offer N sittings first, on a platform that pays: the rest waits for what they earn.",
        ),
    ] = None,
    although: Annotated[
        str, typer.Option(metavar="TEXT", help="Why to publish although the pilot earned less than the floor; kept.")
    ] = "",
    files: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="With label-studio or mturk: write what is to be uploaded by hand into the new folder OUT; nobody is "
            "shown an answer.",
        ),
    ] = None,
) -> None:
    """Offer the campaign to annotators.

    The worst case of what they cost is set aside first; what does not fit
    \\[pay] cap is refused.
    Safe to repeat, whatever happened: what is there already is not made again.
    """
    from imitable.cli.printing import bar, out
    from imitable.commands.publish import publish as make
    from imitable.commands.publish import publish_files

    if files is None:
        done = make(
            directory,
            platform=platform,
            places=pilot or links,
            pilot=pilot is not None,
            although=although,
            dry_run=dry_run,
            progress=bar,
        )
    elif platform not in ("label-studio", "mturk") or dry_run:
        wrong = "goes with --platform label-studio or mturk, and without --dry-run"
        raise typer.BadParameter(wrong, param_hint="--files")
    else:
        done = publish_files(directory, files, platform=platform, places=links)
    out.print(("Would make " if dry_run else "Made ") + plain(done.what) + ".")
    for path in done.files:
        out.print(f"  {plain(str(path))}")
    for note in done.notes:
        out.print(f"  note: {plain(note)}")
    out.print(f"Next: [bold]{plain(done.next_step)}[/]")


def collect(
    directory: Campaign,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="FILE",
            help="Instead: take the guesses of what 'publish --files' wrote, from a JSON export of Label Studio or the "
            "results CSV of an MTurk-style site.",
        ),
    ] = None,
) -> None:
    """Ask the platforms what they know, and say in what it differs from our record.

    The record counts: nothing that a platform says changes a committed guess.
    All differences are written to DIR/collected.csv. Safe to repeat.
    """
    from imitable.cli.printing import bar, out
    from imitable.commands.collect import collect as run
    from imitable.commands.collect import collect_file

    if from_file is not None:
        brought = collect_file(directory, from_file)
        out.print(
            f"Took {brought.taken} guesses; {brought.known} were known, {brought.not_taken} annotations are none."
        )
        if brought.not_taken:
            out.print(f"Which, and why: {plain(str(brought.path))}")
        out.print(f"Next: [bold]imitable status {plain(str(directory))}[/]")
        return
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
        bool,
        typer.Option(
            "--now",
            help="Also end what has begun; it counts, and is paid: the whole base where the platform knows who was "
            "playing, its share for a link.",
        ),
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
