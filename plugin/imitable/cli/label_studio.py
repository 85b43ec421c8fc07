"""The commands around a Label Studio server: up, down, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imitable.cli.building import Campaign, plain

app = typer.Typer(
    name="label-studio",
    help="""A Label Studio to try out, and a doctor for one of your own.

'up' starts a stock server on this machine, in an environment of its own.
'doctor' looks at the server that campaign.toml names, and says what is not as
it should be before people play there.""",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="The server's data, accounts and log; another folder is another server. Default: in the cache.",
        show_default=False,
    ),
]

Port = Annotated[
    int | None,
    typer.Option(min=1, max=65535, help="Port on this machine. Default: as before, at first 8080.", show_default=False),
]


@app.command()
def up(
    data: Data = None,
    annotators: Annotated[int, typer.Option(min=0, max=500, help="Accounts that there are to be, for playing.")] = 4,
    port: Port = None,
    postgres: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Keep the tables in PostgreSQL, postgresql://user:password@host:port/name. Default: SQLite.",
        ),
    ] = None,
) -> None:
    """Start a Label Studio on this machine, with an admin and accounts to play.

    The first time it is installed with pip into a virtual environment in your
    cache (1 GB; IMITABLE_LABEL_STUDIO names another folder). It listens on this
    machine only, calls nobody, and lets in no one without an invitation. Asked
    again, it is found running, or started with the same data. For a campaign with
    people, run a server of your own as Label Studio's documentation says, and
    look at it with 'imitable label-studio doctor'.
    """
    from imitable.cli.printing import out
    from imitable.commands.label_studio import up as start

    def say(what: str) -> None:
        out.print(plain(what))

    there = start(data, annotators=annotators, port=port, postgres=postgres, say=say)
    begun = "Started" if there.started else "Running already:"
    out.print(f"{begun} Label Studio {plain(there.version)} on [bold]{plain(there.url)}[/]")
    out.print(f"  admin: {plain(there.admin.email)}, password {plain(there.admin.password)}")
    for one in there.annotators[:10]:
        out.print(f"  {plain(one.email)}, password {plain(one.password)}")
    if (more := len(there.annotators) - 10) > 0:
        out.print(f"  and {more} more")
    out.print(f"All accounts, with their tokens: {plain(str(there.accounts))}")
    out.print("In campaign.toml:")
    out.print(plain(f'  [platform.label_studio]\n  url = "{there.url}"\n  accounts = "{there.accounts}"'))
    out.print(f"Next: [bold]export LABEL_STUDIO_API_KEY={plain(there.admin.token)}[/]")
    out.print("      [bold]imitable serve DIR[/], and beside it [bold]imitable publish DIR --platform label-studio[/]")
    where = f" --data {data}" if data else ""
    out.print(f"Stop it with: imitable label-studio down{plain(where)}")


@app.command()
def down(data: Data = None) -> None:
    """Stop the Label Studio that 'up' started. Its data stay, and 'up' goes on with them.

    Only a server that runs with this very data is stopped; never another.
    """
    from imitable.cli.printing import out
    from imitable.commands.label_studio import down as stop

    out.print("Stopped Label Studio; its data stay." if stop(data) else "No Label Studio runs with this data.")


@app.command()
def doctor(
    directory: Campaign,
    nginx: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a configuration of nginx with which annotators can play, see their own tasks, and do nothing "
            "else.",
            show_default=False,
        ),
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="PORT", help="Where that nginx listens: a port, or an address and a port.")
    ] = "8081",
) -> None:
    """Look at the Label Studio that campaign.toml names, and say what is wrong before people play.

    Its version and switches, who may sign up, whether it reaches the game, who
    else is told what annotators do, and whether anything in it tells what has yet
    to be guessed. LABEL_STUDIO_API_KEY says who asks. Nothing is changed.
    Exit code 4 when something is wrong.
    """
    from imitable.cli.printing import out
    from imitable.commands.label_studio import doctor as look

    seen = look(directory, nginx=nginx, listen=listen)
    colours = {"fine": "green", "wrong": "bold red", "note": "yellow"}
    out.print(f"Label Studio at {plain(seen.url)}:")
    for check in seen.checks:
        out.print(f"  [{colours[check.word]}]{check.word:<5}[/]  {plain(check.said)}")
    if nginx is not None:
        where = plain(str(nginx))
        table = plain("[platform.label_studio]")
        out.print(f"Wrote {where}; how to use it stands in it. Then, under {table}, set proxied = true")
        out.print("and public_url = the address that annotators open, and publish again: label-studio.csv has theirs.")
    if not seen.ready:
        raise typer.Exit(4)
    out.print("Nothing is wrong, as far as can be seen.")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the campaign and the results.")] = Path("label-studio-demo"),
    players: Annotated[int, typer.Option(min=1, max=30, help="Simulated annotators.")] = 6,
    data: Data = None,
    port: Port = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated annotators.")] = 0,
) -> None:
    """The whole loop in a real Label Studio: it is started, a campaign published, played, collected and ranked.

    Simulated annotators play through the server's own HTTP. The project stays,
    with tasks for you: play them in your browser.
    """
    from imitable.cli.printing import bar
    from imitable.cli.printing import out as console
    from imitable.cli.results import show_ranking
    from imitable.commands.label_studio_demo import demo as run

    done = run(out, players=players, data=data, port=port, seed=seed, progress=bar)
    differences = sum(len(said.findings) for said in done.collected.platforms.values())
    console.print(f"{players} simulated annotators made {done.guesses} guesses in Label Studio on {plain(done.url)};")
    console.print(f"collect found {differences} differences between its annotations and our record.")
    show_ranking(done.summary)
    console.print("Play yourself:")
    console.print(f"  [bold]imitable serve {plain(str(done.campaign))} --port {done.port}[/]", soft_wrap=True)
    console.print(f"  then open {plain(done.page)}", soft_wrap=True)
    console.print(f"  as {plain(done.you.email)}, password {plain(done.you.password)}")
    console.print("Stop the server with: imitable label-studio down" + (f" --data {plain(str(data))}" if data else ""))
