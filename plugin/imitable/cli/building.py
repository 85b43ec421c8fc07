"""The commands that make a campaign's rounds and look at them: build, verify, inspect, train-probe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

Campaign = Annotated[Path, typer.Argument(metavar="DIR", help="The campaign's folder.")]


def plain(text: str) -> str:
    """Text that the console prints as it stands."""
    from rich.markup import escape

    return escape(text)


def build(
    directory: Campaign,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run the model on a Ray cluster at this address ('auto' finds one; 'local': all processors and GPUs "
            "of this machine). The result is the same.",
        ),
    ] = None,
    copy_to: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Also put the build's files there (s3://... or another fsspec address)."),
    ] = None,
) -> None:
    """Run the model over the corpus; choose targets; draw their pools of items; seal the truths.

    Safe to interrupt and to repeat: it goes on where it was, and the same
    campaign.toml and secret.key give the same bytes.
    """
    from imitable.cli.printing import bar, out
    from imitable.commands.build import build as make
    from imitable.commands.status import status

    where = plain(str(directory))
    try:
        done = make(directory, ray=ray, copy_to=copy_to, progress=bar)
    except KeyboardInterrupt as stop:
        out.print(f"Stopped. What was done is kept; the same command goes on: [bold]imitable build {where}[/]")
        raise typer.Exit(3) from stop
    if not done.fresh:
        out.print(f"{where} is built already: {done.targets} targets, {done.items} items. Nothing had to be done.")
    else:
        out.print(f"Built {done.targets} targets with {done.items} items; truths are sealed in {where}.")
    for one in done.left_out:
        out.print(f"  left out {plain(one.target_id)}: {plain(one.reason)}")
    for note in done.notes:
        out.print(f"  note: {plain(note)}")
    for level in done.told:
        out.print(
            f"  level {level.level}: readings tell R² {level.median:.2f} of the truths (median of {level.targets} "
            f"targets), {level.largest:.2f} at most ({plain(level.target_id)})"
        )
    out.print(f"Look at it: [bold]imitable inspect {where}[/], and at what annotators see: imitable preview {where}")
    out.print(f"Next: [bold]{plain(status(directory).next_step)}[/]", soft_wrap=True)


def verify(
    directory: Campaign,
    sample: Annotated[int, typer.Option(min=1, help="Items to recompute; they are drawn at random.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Seed of that draw.")] = 0,
) -> None:
    """Recompute a sample of truths from the stored tokens; compare models, probes, SAEs and files with the build.

    Exit code 4 when something differs.
    """
    from imitable.cli.printing import bar, out
    from imitable.commands.verify import TOLERANCE
    from imitable.commands.verify import verify as look

    seen = look(directory, sample=sample, seed=seed, progress=bar)
    out.print(
        f"Recomputed {seen.checked} of {seen.of} items: the largest difference at any token is {seen.largest:.2g} "
        f"standard deviations ({plain(seen.worst)}); up to {TOLERANCE:g} is rounding."
    )
    for problem in seen.problems:
        out.print(f"  [bold red]differs[/]: {plain(problem)}")
    if seen.problems:
        raise typer.Exit(4)
    out.print("Models, files and database are those of the build.")


def inspect(
    directory: Campaign,
    target: Annotated[str | None, typer.Option(help="Open this target's page.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
) -> None:
    """Read targets, items, truths and examples in the browser; for the runner only, on this machine only."""
    from imitable.cli.printing import out
    from imitable.commands.inspect import inspect as run

    def ready(address: str) -> None:
        out.print("The pages show every truth: keep this address to yourself. Ctrl-C stops.")
        out.print(f"  [bold]{plain(address)}[/]")
        sys.stdout.flush()

    run(directory, target=target, port=port, ready=ready)


def train_probe(
    directory: Campaign,
    labelled: Annotated[
        Path, typer.Option(metavar="FILE", help="Texts with two kinds of labels: .csv, .jsonl or .parquet.")
    ],
    layer: Annotated[int, typer.Option(min=0, help="The block whose output the probe reads, from 0.")],
    name: Annotated[str, typer.Option(help="NAME in target ids, probe.LAYER.NAME: letters, digits, _ and -.")],
    text_column: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column that holds the label.")] = "label",
    model: Annotated[str | None, typer.Option(help="Which of several \\[\\[models]], by name.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write. Default: DIR/probes/NAME.safetensors.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split and of the tokens drawn.")] = 0,
) -> None:
    """Fit a linear probe on the campaign's model from labelled texts, ready to be a target."""
    from imitable.cli.printing import bar
    from imitable.cli.printing import out as console
    from imitable.commands.train_probe import train_probe as train

    done = train(
        directory,
        labelled=labelled,
        layer=layer,
        name=name,
        text_column=text_column,
        label_column=label_column,
        model=model,
        out=out,
        seed=seed,
        progress=bar,
    )
    negative, positive = (plain(repr(label)) for label in done.labels)
    console.print(
        f"Fitted {positive} against {negative} on {done.tokens} tokens of {done.texts} texts: held-out AUROC "
        f"{done.auroc:.3f} a token, {done.auroc_texts:.3f} a text ({done.held_out} texts held out)."
    )
    if done.too_short:
        console.print(f"  {done.too_short} texts were too short, or begin as another does, and were not used.")
    console.print(f"Wrote {plain(str(done.path))}. Next: add this to campaign.toml, and build:")
    console.print(plain(done.table))
