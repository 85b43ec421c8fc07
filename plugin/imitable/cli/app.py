"""Every command of imitable. Heavy imports happen inside the command that needs them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from imitable import __version__
from imitable.cli import building, label_studio, money, planning, playing, publishing, rehearsing
from imitable.cli.building import Campaign, plain
from imitable.errors import ImitableError

app = typer.Typer(
    name="imitable",
    help="Can a person learn to imitate one neuron? Turn a model's activations into a prediction game, and its "
    "guesses into a ranking of what people can learn.",
    epilog="Begin with 'imitable demo', or with 'imitable new my-campaign'.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line. Errors that the user can fix are printed without a traceback, with exit code 1."""
    try:
        app(args=_spelled_out(sys.argv[1:]))
    except ImitableError as error:
        from imitable.cli.printing import err

        err.print(f"[bold red]imitable:[/] {plain(str(error))}")
        sys.exit(1)


def _spelled_out(args: list[str]) -> list[str]:
    """`--ray` alone means the processors of this machine."""
    alone = [
        at for at, arg in enumerate(args) if arg == "--ray" and (args[at + 1 : at + 2] or ["-"])[0].startswith("-")
    ]
    return [f"{arg}=local" if at in alone else arg for at, arg in enumerate(args)]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"imitable {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


def new(directory: Campaign) -> None:
    """Make a campaign's folder: a commented campaign.toml that works as it is, a consent text, and secret.key."""
    from imitable.cli.printing import out
    from imitable.commands.new import new as make

    for path in make(directory):
        out.print(f"made {plain(str(path))}")
    out.print("Keep secret.key: every id comes from it, and it is never exported.")
    out.print(f"Next: edit campaign.toml if you like, then [bold]imitable build {plain(str(directory))}[/]")


def serve(
    directory: Campaign,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Use a reverse proxy with TLS in front.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            help="Processes that serve, on PostgreSQL; one that ends is started again. Each takes up to 12 connections "
            "to the database.",
        ),
    ] = 1,
    log: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write each request as a line of JSON, without anything that says who asked or what: to FILE, or to "
            "the terminal with '-'. Default: only warnings, on the terminal.",
        ),
    ] = None,
) -> None:
    """Serve the game. Ctrl-C stops it; nothing is lost, and the same command goes on where it was."""
    from imitable.campaign import Folder
    from imitable.cli.printing import out
    from imitable.commands.invitations import about_links, invitations
    from imitable.commands.serve import serve as run

    def ready(folder: Folder, address: str) -> None:
        out.print(f"Serving '{plain(folder.config.campaign.name)}' on {address}. Ctrl-C stops.")
        said = [*about_links(folder, address), *invitations(folder, address)]
        if not said:
            said.append(f"No one is invited yet: imitable publish {directory} --platform web")
        for one in said:
            out.print(plain(one), soft_wrap=True)
        sys.stdout.flush()

    run(directory, host=host, port=port, workers=workers, log=log, ready=ready)


def status(directory: Campaign) -> None:
    """Say where a campaign is, and what to do next."""
    from imitable.cli.printing import out
    from imitable.commands.status import status as look

    seen = look(directory)
    out.print(f"[bold]{plain(seen.campaign)}[/]: {seen.targets} targets, {seen.links} links, {seen.sittings} sittings")
    out.print(f"episodes: {seen.episodes_finished} finished, {seen.episodes_open} open; {seen.guesses} guesses")
    if seen.places:
        filled = [f"{platform} {done} of {whole}" for platform, (done, whole) in seen.places.items()]
        out.print(f"places filled: {', '.join(filled)}")
    if seen.planned:
        out.print(f"plan: {planning.named(seen.planned, seen.targets, seen.planned_share)}")
        out.print(f"  without it again: imitable assign {plain(str(directory))} --clear")
    for platform, since in seen.closed.items():
        out.print(f"closed on {platform} since {since:%Y-%m-%d %H:%M} UTC; 'imitable publish' opens it again")
    money.show_standing(seen.money)
    out.print(f"Next: [bold]{plain(seen.next_step)}[/]")
    for other in seen.also:
        out.print(f"  also: {plain(other)}")


def export(
    directory: Campaign,
    out: Annotated[
        str, typer.Option(metavar="OUT", help="Folder to write, or s3://BUCKET/PREFIX; all of it appears at once.")
    ],
    with_text: Annotated[
        bool, typer.Option("--with-text", help="Also what annotators wrote, which may say who they are.")
    ] = False,
) -> None:
    """Write guesses (CSV and Parquet), targets, episodes and who was shown which item (CSV), under pseudonyms.

    guesses.csv and .parquet, targets.csv, episodes_played.csv, exposures.csv;
    where levels show other units, readings.csv and .parquet, and looks.csv.
    datapackage.json says what each column means. Safe to repeat, also while
    people play.
    """
    from imitable.cli.printing import bar
    from imitable.cli.printing import out as console
    from imitable.commands.buckets import is_bucket
    from imitable.commands.export import export as make

    done = make(directory, out=out if is_bucket(out) else Path(out), with_text=with_text, progress=bar)
    console.print(f"Wrote {done.guesses} guesses of {done.annotators} annotators, {done.episodes} episodes.")
    if done.guesses:
        console.print(f"Next: [bold]imitable rank {plain(out)} --out RESULTS[/]")
    else:
        console.print("Nobody has played yet, so there is nothing to rank.")


def rank(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="What 'imitable export' wrote (a folder, or s3://BUCKET/PREFIX), one guesses file (.csv, .csv.gz, "
            ".parquet), a folder of Parquet files, or a glob in quotes.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; all of it appears at once.")],
    level: Annotated[
        str | None, typer.Option(help="Rank at this level. Default: the mean of the levels played.")
    ] = None,
    coverage: Annotated[float, typer.Option(min=0.01, max=0.999, help="Probability that intervals hold.")] = 0.9,
    top_k: Annotated[int, typer.Option(min=1, help="The k of p_top: the probability to be among the best k.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws; the same seed gives the same bytes.")] = 0,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Contrast groups of targets: model_id, kind, site, layer, selected_by, level, or a column of the "
            "folder's targets.csv. May be given again.",
        ),
    ] = None,
    keep_bad: Annotated[
        bool, typer.Option("--keep-bad", help="Keep annotators in the fit who seem not to play in earnest.")
    ] = False,
    allow_simulated: Annotated[
        bool, typer.Option("--allow-simulated", help="Accept simulated players beside people.")
    ] = False,
    engine: Annotated[
        Literal["duckdb", "spark"],
        typer.Option(help="What passes over the guesses: duckdb, on this machine, or a Spark cluster."),
    ] = "duckdb",
) -> None:
    """Rank targets by how imitable they are, with intervals; from an export alone."""
    from imitable.cli.printing import bar
    from imitable.cli.results import show_ranking
    from imitable.commands.rank import rank as run
    from imitable_aggregation.settings import Settings

    chosen = Settings(
        level=level,
        coverage=coverage,
        top_k=top_k,
        seed=seed,
        by=tuple(by or ()),
        keep_bad=keep_bad,
        allow_simulated=allow_simulated,
        engine=engine,
    )
    show_ranking(run(source, out=out, settings=chosen, progress=bar), chosen)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the campaign and the results.")] = Path("imitable-demo"),
    players: Annotated[int, typer.Option(min=1, max=1000, help="Simulated annotators.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated annotators.")] = 0,
) -> None:
    """Run the whole loop: a real model, a real game server, simulated annotators, a ranking and a report.

    Each demo draws a key of its own, and so other neurons and texts: numbers
    differ from run to run.
    """
    from imitable.cli.printing import bar
    from imitable.cli.results import show_demo
    from imitable.commands.demo import demo as run

    show_demo(run(out, players=players, seed=seed, progress=bar))


COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Try": {"demo": demo},
    "Make": {
        "new": new,
        "build": building.build,
        "train-probe": building.train_probe,
        "verify": building.verify,
        "inspect": building.inspect,
        "preview": playing.preview,
        "rehearse": rehearsing.rehearse,
    },
    "Run": {
        "publish": publishing.publish,
        "serve": serve,
        "status": status,
        "collect": publishing.collect,
        "close": publishing.close,
    },
    "Results": {"export": export, "rank": rank, "plan": planning.plan, "assign": planning.assign},
    "Money": {
        "pay": money.pay,
        "settle": money.settle,
        "top-up": money.top_up,
        "reconcile": money.reconcile,
        "ledger": money.ledger,
        "forget": money.forget,
    },
}
"""Every command by its name, under the headings and in the order in which `imitable --help` lists them."""

for _panel, _commands in COMMANDS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_command)
app.add_typer(label_studio.app, rich_help_panel="Try")
