"""The commands of money: pay, settle, top-up, reconcile, ledger, forget."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imitable.cli.building import Campaign, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imitable.commands.pay import Part, Statement
    from imitable.money.budget import Standing
    from imitable.money.ledger import Line

DIFFERENT = 4
"""Exit code of a comparison that found a difference."""

_SHOWN = 20
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, which is kept; needed.")]


def pay(
    directory: Campaign,
    execute: Annotated[
        bool, typer.Option("--execute", help="Pay what is due. Asks for the total, to be typed; see --confirm.")
    ] = False,
    confirm: Annotated[
        str | None, typer.Option(metavar="TOTAL", help="The total, for scripts; when it differs, nothing is sent.")
    ] = None,
    platform: Annotated[str | None, typer.Option(help="Where several platforms have something due: which.")] = None,
) -> None:
    """Show what annotators are owed, why, and what it costs. Nothing is paid without --execute.

    Each thing that is owed is paid once, whatever fails: it is written down
    before it is sent, and what may have been paid is looked for in the platform's
    own list before anything is sent again. What stays in doubt waits for you, at
    'imitable settle'. Links and Label Studio are paid by hand: --execute then
    records that you handed it over.
    """
    from imitable.cli.printing import bar, out
    from imitable.commands.pay import pay as run
    from imitable.commands.pay import show

    if confirm is not None and not execute:
        raise typer.BadParameter("goes with --execute", param_hint="--confirm")
    said = show(directory)
    _show(said, str(directory))
    if not execute:
        return

    def asked(part: Part) -> str:
        if confirm is not None:
            return confirm
        verb = "have been handed over" if part.endpoint == "by hand" else f"are sent through {part.endpoint}"
        return str(typer.prompt(f"{part.total.decimal} {part.total.currency} {verb}. Type the total to confirm"))

    part, done = run(directory, platform=platform, confirm=asked, progress=bar)
    out.print(f"{part.platform}: paid {done.paid}, refused {done.failed}, in doubt {done.doubtful}.")
    if done.settled:
        out.print(f"  {done.settled} payments that were in doubt are known now.")
    for reason in done.reasons:
        out.print(f"  note: {plain(reason)}")
    out.print(f"Next: [bold]imitable reconcile {plain(str(directory))}[/]")


def _show(said: Statement, directory: str) -> None:
    from imitable.cli.printing import out

    if not said.parts:
        out.print("Nothing is owed yet: nobody's sitting is over.")
    for part in said.parts:
        where = "by hand" if part.endpoint == "by hand" else f"through {part.endpoint}"
        stand_in = " [bold yellow](a stand-in: no real money)[/]" if part.stand_in else ""
        out.print(f"[bold]{part.platform}[/], {plain(where)}{stand_in}: paid so far {part.paid}")
        kinds = Counter(line.kind.partition(":")[0] for line in part.due)
        people = len({line.annotator_id for line in part.due})
        what = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        out.print(f"  due: [bold]{part.total}[/] to {people} annotators ({what or 'nothing'}), about {part.fees} fees")
        for line in part.due[:_SHOWN]:
            waits = f"; waited: {line.waiting}" if line.waiting else ""
            out.print(f"    {line.annotator_id}  {line.kind:<8} {line.amount}  {plain(_why(line.facts) + waits)}")
        if len(part.due) > _SHOWN:
            out.print(f"    ... and {len(part.due) - _SHOWN} more")
        for line in part.doubtful:
            out.print(
                f"  [bold yellow]in doubt[/]: {line.kind} of {line.amount} for {line.annotator_id}, "
                f"operation {line.operation_id}, sent {line.started_at:%Y-%m-%d %H:%M} UTC"
                + (f" in batch {plain(line.batch_id)}" if line.batch_id else "")
                + (f", not in the list of {line.missed_at:%Y-%m-%d %H:%M} UTC" if line.missed_at else "")
            )
        for line in part.refused:
            out.print(
                f"  [bold red]refused[/]: {line.kind} of {line.amount} for {line.annotator_id}, "
                f"operation {line.operation_id}: {plain(_why(line.said))}"
            )
    show_standing(said.standing)
    fair = said.fairness
    if fair is not None:
        sure = "too few for an interval"
        if fair.low is not None and fair.high is not None:
            sure = f"90% interval {fair.low.decimal} to {fair.high.decimal}"
        out.print(
            f"an hour earns {fair.per_hour} ({sure}), median of {fair.sittings} sittings; one takes "
            f"{fair.active_minutes:.1f} minutes active, {fair.elapsed_minutes:.1f} with pauses; "
            f"{100 * fair.under:.0f}% are under the floor of {fair.floor}"
        )
    if said.parts:
        out.print(f"All lines, with their reasons: {plain(str(said.path))}")
        if any(part.due for part in said.parts):
            out.print(f"Next: [bold]imitable pay {plain(directory)} --execute[/]")
        elif any(part.doubtful for part in said.parts):
            again = f"[bold]imitable pay {plain(directory)} --execute[/] looks again for what is in doubt"
            out.print(
                f"Next: {again}; what stays is for [bold]imitable settle {plain(directory)} OPERATION[/], once "
                "you have looked at the platform"
            )


def show_standing(standing: Standing) -> None:
    """Where the money is, in a line or two; nothing where none was ever set aside."""
    from imitable.cli.printing import out

    if standing.bound.minor:
        cap = "" if standing.cap is None else f"; the cap is {standing.cap}"
        out.print(f"money: {standing.paid} paid with fees, {standing.owed} owed, {standing.aside} set aside{cap}")
    if standing.warning:
        out.print(f"  [bold yellow]note[/]: {plain(standing.warning)}")


def _why(facts: Mapping[str, object]) -> str:
    """What an amount was computed from, or what a platform said, in a few words; older books name no rule."""
    if "base" in facts:
        return f"{facts['ended_by']}, {facts['rounds']} of {facts['of']} rounds of {facts['base']}"
    if "per_point" in facts:
        points = float(str(facts["points_above_par"]))
        return f"{points:+.2f} points over {facts['held_out']} rounds without answers, {facts['per_point']} each"
    return ", ".join(f"{key} {value}" for key, value in facts.items())


def settle(
    directory: Campaign,
    which: Annotated[
        str,
        typer.Argument(
            metavar="OPERATION",
            help="Of the payment in doubt, as 'imitable pay' lists it: po-... Or a batch, for all of it that is in "
            "doubt; or 'all', for every payment in doubt.",
        ),
    ],
    paid: Annotated[bool, typer.Option("--paid/--not-paid", help="What you found in the platform's own books.")],
    why: Why = "",
    platform: Annotated[
        str | None, typer.Option(help="With 'all', where several platforms have doubts: which.")
    ] = None,
    confirm: Annotated[
        str | None, typer.Option(metavar="COUNT", help="How many they are, for scripts, where they are several.")
    ] = None,
) -> None:
    """Say what became of a payment in doubt, once you have looked at the platform.

    --paid closes it. --not-paid lets the next 'imitable pay --execute' send it
    again: be sure, for then it is you who keeps it from being paid twice. Where
    you mean several, it asks how many; each has its own decision on record.
    """
    from imitable.cli.printing import bar, out
    from imitable.commands.accounts import settle as run
    from imitable.money.amounts import total

    stand = "paid" if paid else "not paid, and due again"

    def asked(lines: Sequence[Line]) -> str:
        if len(lines) == 1:
            return "1"
        if confirm is not None:
            return confirm
        amount = total([line.amount for line in lines], lines[0].amount.currency)
        return str(typer.prompt(f"{len(lines)} payments of {amount} in all are {stand}. Type how many to confirm"))

    lines = run(directory, which, paid=paid, why=why, confirm=asked, platform=platform, progress=bar)
    if len(lines) > 1:
        out.print(f"Recorded: {len(lines)} payments are {stand}.")
    else:
        out.print(f"Recorded: {lines[0].kind} of {lines[0].amount} for {lines[0].annotator_id} is {stand}.")


def top_up(
    directory: Campaign,
    sitting: Annotated[
        str, typer.Argument(metavar="SITTING", help="The sitting, as 'imitable ledger' lists it: s_...")
    ],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="How much more, such as 1.50.")],
    why: Why = "",
    correction: Annotated[bool, typer.Option("--correction", help="It puts right what was computed wrongly.")] = False,
) -> None:
    """Owe somebody more, by your decision: a failure of ours, or a pilot that took longer than paid for."""
    from imitable.cli.printing import out
    from imitable.commands.accounts import top_up as run

    kind = run(directory, sitting, amount, why=why, correction=correction)
    out.print(f"Recorded as {kind}. Next: [bold]imitable pay {plain(str(directory))}[/]")


def reconcile(directory: Campaign) -> None:
    """Compare our books with what the platforms say they paid, both ways. Exit code 4 when something differs."""
    from imitable.cli.printing import bar, out
    from imitable.commands.accounts import reconcile as run

    found = run(directory, progress=bar)
    for platform, books in found.items():
        out.print(f"{platform}: {len(books.differences)} differences")
        for one in books.differences:
            out.print(f"  [bold]{one.kind}[/] {plain(one.sentence)}")
        if books.forgotten:
            out.print(f"  note: {books.forgotten} lines of people who were forgotten cannot be compared any more.")
    if not found:
        out.print("Nothing was paid through a platform; what is paid by hand has no other books than ours.")
    if any(books.differences for books in found.values()):
        raise typer.Exit(DIFFERENT)


def ledger(
    directory: Campaign,
    out: Annotated[Path | None, typer.Option(help="CSV to write. Default: DIR/ledger.csv.")] = None,
) -> None:
    """Write everything that is owed, sent and paid as a CSV, under pseudonyms."""
    from imitable.cli.printing import out as console
    from imitable.commands.pay import ledger as run

    path, lines = run(directory, out)
    console.print(f"Wrote {lines} lines to {plain(str(path))}")


def forget(
    directory: Campaign,
    annotator: Annotated[str, typer.Argument(metavar="ANNOTATOR", help="The pseudonym, as in guesses.csv: a_...")],
) -> None:
    """Erase who somebody is and what they wrote. Guesses and payments stay, traceable to nobody.

    What is owed must be paid first. What lies on a platform (an account of Label
    Studio, a submission) is erased there, by you.
    """
    from imitable.cli.printing import out
    from imitable.commands.accounts import forget as run

    run(directory, annotator)
    out.print(f"Forgotten: {annotator}. Erase what lies on the platform itself there.")
