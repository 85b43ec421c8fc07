"""The command that shows the game before it is played: preview."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from imitable.cli.building import Campaign, plain


def preview(
    directory: Campaign,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
) -> None:
    """See every page as annotators will, on a practice target that is in no campaign; on this machine only.

    Nothing is recorded in the campaign, which need not be built yet. The list of
    pages names the texts that a translation lacks, and offers all texts to
    translate.
    """
    from imitable.cli.printing import out
    from imitable.commands.preview import preview as run

    def ready(address: str) -> None:
        out.print(f"The pages, on a practice target: [bold]{plain(address)}[/]  Ctrl-C stops.")
        sys.stdout.flush()

    run(directory, port=port, ready=ready)
