"""The commands that look ahead: plan and assign."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from imitable.cli.building import Campaign, plain

if TYPE_CHECKING:
    from imitable.commands.plan import Cost, Expected, NextEpisodes

SHOWN = 5
"""Targets that are named."""
LEGEND = {
    "episodes": "that count, for each target",
    "tau": "expected agreement with the true order (Kendall's)",
    "reliab.": "reliability: share of the variance of estimates that is true",
    "interval": "of a target's imitability, 90%",
    "ranks": "share of all ranks that a 90% rank interval spans",
    "top 10%": "share of the truly best tenth that is found",
    "groups": "90% interval of the difference between two halves of the\n"
    "           targets, for new targets like these",
}
"""What the columns of a forecast say."""
WHOLE = 1_000_000
"""Cost in minor units from which on a forecast shows no cents."""


def _money(text: str) -> str:
    try:
        amount = Decimal(text)
        if not amount.is_finite() or amount < 0 or amount != round(amount, 2):
            raise InvalidOperation
    except InvalidOperation:
        raise typer.BadParameter(
            "give an amount of zero or more with at most two decimals, such as 3.50", param_hint="--cost-per-sitting"
        ) from None
    return text


def plan(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="IN", help="What was played: an export folder, a file of guesses, or a folder that rank wrote."
        ),
    ] = None,
    targets: Annotated[int | None, typer.Option(min=1, help="Targets of the campaign to be forecast.")] = None,
    annotators: Annotated[int | None, typer.Option(min=1, help="Annotators of that campaign.")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Episodes, one a target, that each plays.")] = None,
    campaign: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A campaign's folder, for its rounds, sittings and pay.")
    ] = None,
    cost_per_sitting: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT",
            callback=lambda text: text and _money(text),
            help="What a sitting costs, such as 3.50, instead of the campaign's pay. Without --campaign, all episodes "
            "of an annotator are one sitting.",
        ),
    ] = None,
    next_: Annotated[
        int | None, typer.Option("--next", min=1, metavar="N", help="Choose the next N episodes from what was played.")
    ] = None,
    goal: Annotated[
        Literal["top", "all"], typer.Option(help="top: find the best --top-k targets; all: rank every target.")
    ] = "top",
    top_k: Annotated[int, typer.Option(min=1, help="How many best targets to find.")] = 10,
    out: Annotated[Path, typer.Option(help="File for the next episodes: target_id, level, probability.")] = Path(
        "next.csv"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws and choices.")] = 0,
    allow_simulated: Annotated[
        bool, typer.Option("--allow-simulated", help="Accept simulated players beside people.")
    ] = False,
) -> None:
    """Forecast how well a campaign ranks its targets, and its cost; or choose where the next episodes go (--next).

    A forecast takes --targets, --annotators and --episodes; its variances come
    from IN, or from simulations.
    """
    from imitable.commands.plan import expect, plan_next

    if next_ is not None:
        if source is None:
            raise typer.BadParameter("say what was played: imitable plan GUESSES --next 50", param_hint="IN")
        _show_next(
            plan_next(
                source,
                episodes=next_,
                out=out,
                goal=goal,
                top_k=top_k,
                allow_simulated=allow_simulated,
                seed=seed,
            )
        )
        return
    if targets is None or annotators is None or episodes is None:
        raise typer.BadParameter(
            "give --targets, --annotators and --episodes for a forecast, or IN and --next for the next episodes",
            param_hint="--targets",
        )
    _show_expected(
        expect(
            targets=targets,
            annotators=annotators,
            episodes=episodes,
            pilot=source,
            campaign=campaign,
            cost_per_sitting=Decimal(cost_per_sitting) if cost_per_sitting else None,
            allow_simulated=allow_simulated,
            seed=seed,
        )
    )


def _show_next(chosen: NextEpisodes) -> None:
    from imitable.cli.printing import out
    from imitable.cli.results import SIMULATED

    if chosen.simulated:
        out.print(f"[bold yellow]{SIMULATED}[/]")
    for note in chosen.notes:
        out.print(f"  note: {plain(note)}")
    counts = chosen.plan.groupby("target_id", sort=True)["probability"].agg(["size", "max"])
    counts = counts.sort_values(["size", "max"], ascending=False, kind="stable")
    out.print(f"Chose {len(chosen.plan)} episodes on {len(counts)} of {chosen.targets} targets; most often:")
    for name, row in counts.head(SHOWN).iterrows():
        out.print(f"  {row['size']:3.0f} × {plain(str(name))}, each with probability {row['max']:.3g}")
    where = plain(str(chosen.out))
    out.print(f"Written to {where}. Next: [bold]imitable assign DIR {where}[/]")


def _show_expected(found: Expected) -> None:
    from rich.table import Table

    from imitable.cli.foretelling import show_players
    from imitable.cli.printing import out
    from imitable.cli.results import SIMULATED

    if found.simulated:
        out.print(f"[bold yellow]{SIMULATED}[/]")
    for note in found.notes:
        out.print(f"  note: {plain(note)}")
    asked = next(row.forecast for row in found.rows if row.asked)
    out.print(
        f"{asked.targets:,} targets; annotators play {asked.episodes} episodes each, with {found.practice} practice "
        f"and {found.held_out} held-out rounds"
        + (f"; {found.honest:.0%} of them play in earnest" if found.honest < 1 else "")
    )
    out.print(f"variances from {plain(found.source)}")
    table = Table(box=None, pad_edge=False)
    priced = next((row.cost for row in found.rows if row.cost and row.cost.base + row.cost.most), None)
    cents = not any(row.cost and row.cost.base + row.cost.bonus >= WHOLE for row in found.rows)
    for name in ("annotators", *LEGEND, *([f"cost {priced.currency}".strip()] if priced else ())):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found.rows:
        f = row.forecast
        cells = [
            f"{f.annotators:,}",
            f"{f.per_target:.1f}",
            f"{f.tau:.2f}",
            f"{f.reliability:.2f}",
            f"± {f.width / 2:.2f}",
            f"{f.rank_width:.0%}",
            f"{f.top_hit:.0%}",
            f"± {f.group_width / 2:.2f}",
            *([_figure(row.cost.base + row.cost.bonus, cents=cents)] if row.cost and priced else []),
        ]
        table.add_row(*cells, style="bold" if row.asked else "")
    out.print(table)
    for name, meaning in LEGEND.items():
        out.print(f"{name + ':':<10} {meaning}")
    if found.players:
        show_players(found.players)
    elif found.unbuilt:
        out.print("Not built yet. After [bold]imitable build DIR[/], automatic players say here where levels may help.")
    cost = next(row.cost for row in found.rows if row.asked)
    if cost is None:
        out.print("For the cost, give --campaign DIR or --cost-per-sitting AMOUNT.")
        return
    if priced is None:
        out.print(
            f"cost: {cost.sittings:,} sittings, for which nothing is paid; --cost-per-sitting AMOUNT sets a price."
        )
        return
    out.print(
        f"cost: {cost.sittings:,} sittings"
        + (f", {_amount(cost.bonus, cost)} of bonus expected, {_amount(cost.most, cost)} at most" if cost.most else "")
        + "; platforms' fees come on top."
    )
    if found.cap is not None and cost.base + cost.bonus > found.cap:
        out.print(f"  [bold red]That is more than \\[pay] cap, {_amount(found.cap, cost)}.[/]")


def _amount(minor: int, cost: Cost) -> str:
    return f"{_figure(minor)} {cost.currency}".strip()


def _figure(minor: int, *, cents: bool = True) -> str:
    return f"{minor // 100:,}.{minor % 100:02d}" if cents else f"{(minor + 50) // 100:,}"


def named(targets: int, of: int, share: float) -> str:
    """What a plan does, in words."""
    return (
        f"{targets} of {of} targets {'is' if targets == 1 else 'are'} named and get{'s' if targets == 1 else ''} "
        f"{share:.0%} of the episodes after a sitting's first."
    )


def assign(
    directory: Campaign,
    next_csv: Annotated[
        Path | None, typer.Argument(metavar="NEXT.CSV", help="What 'imitable plan --out' wrote.", show_default=False)
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the plan that was loaded, and load none.")] = False,
) -> None:
    """Let later episodes of each sitting go where a plan says; a running server obeys at once.

    A later plan replaces an earlier one. The first target of a sitting stays
    uniform.
    """
    from imitable.cli.printing import out
    from imitable.commands.assign import assign as load
    from imitable.commands.assign import clear as remove

    if (next_csv is None) != clear:
        raise typer.BadParameter("give the plan to load, or --clear to remove the one loaded", param_hint="NEXT.CSV")
    if next_csv is None:
        out.print("Removed the plan." if remove(directory) else "There was no plan.")
        out.print("A sitting's later episodes go to targets with most places left.")
        return
    done = load(directory, next_csv)
    out.print(
        f"{'Replaced the plan' if done.replaced else 'Loaded the plan'}: {named(done.targets, done.of, done.share)}"
    )
    if full := len(done.full):
        have = "has no place left and gets" if full == 1 else "have no place left and get"
        out.print(f"  {full} of them {have} none: raise annotators_per_target of a platform")
    out.print(f"Next: [bold]imitable status {plain(str(directory))}[/]")
