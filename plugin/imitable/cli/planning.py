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
            metavar="[IN]", help="What was played: an export folder, a file of guesses, or a folder that rank wrote."
        ),
    ] = None,
    targets: Annotated[int | None, typer.Option(min=1, help="Targets of the campaign to be forecast.")] = None,
    annotators: Annotated[int | None, typer.Option(min=1, help="Annotators of that campaign.")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Episodes, one a target, that each plays.")] = None,
    campaign: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A campaign's folder, for its rounds, sittings and pay.")
    ] = None,
    cost_per_sitting: Annotated[
        str | None, typer.Option(metavar="AMOUNT", callback=lambda text: text and _money(text), help="Instead of pay.")
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

    A forecast takes --targets, --annotators and --episodes; its variances come from IN, or from simulations.
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

    from imitable.cli.printing import out
    from imitable.cli.results import SIMULATED

    if found.simulated:
        out.print(f"[bold yellow]{SIMULATED}[/]")
    asked = next(row.forecast for row in found.rows if row.asked)
    out.print(
        f"{asked.targets} targets; annotators play {asked.episodes} episodes each, with {found.practice} practice and "
        f"{found.held_out} held-out rounds"
        + (f"; {found.honest:.0%} of them play in earnest" if found.honest < 1 else "")
    )
    out.print(f"variances from {plain(found.source)}")
    table = Table(box=None, pad_edge=False)
    names = ("annotators", "episodes", "tau", "reliab.", "interval", "ranks", "best 10%", "groups")
    priced = found.rows[0].cost
    for name in (*names, *([f"cost {priced.currency}".strip()] if priced else ())):
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
            *([_figure(row.cost.base + row.cost.bonus)] if row.cost else []),
        ]
        table.add_row(*cells, style="bold" if row.asked else "")
    out.print(table)
    out.print(
        "episodes: that count, a target. tau: expected agreement with the true order. interval: of a target's "
        "imitability, 90%. ranks: share of all ranks that a rank interval spans. best 10%: share of them found. "
        "groups: interval of the difference between two halves of the targets, for new targets like these."
    )
    cost = next(row.cost for row in found.rows if row.asked)
    if cost is None:
        out.print("For the cost, give --campaign DIR or --cost-per-sitting AMOUNT.")
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


def _figure(minor: int) -> str:
    return f"{minor // 100:,}.{minor % 100:02d}"


def assign(
    directory: Campaign,
    next_csv: Annotated[Path, typer.Argument(metavar="NEXT.CSV", help="What 'imitable plan --out' wrote.")],
) -> None:
    """Let later episodes of each sitting go where a plan says; a running server obeys at once.

    A later plan replaces an earlier one. The first target of a sitting stays uniform.
    """
    from imitable.cli.printing import out
    from imitable.commands.assign import assign as load

    done = load(directory, next_csv)
    out.print(
        f"{'Replaced the plan' if done.replaced else 'Loaded the plan'}: {done.targets} of {done.of} targets are named "
        f"and get {done.share:.0%} of the episodes after a sitting's first."
    )
    if done.full:
        out.print(
            f"  {len(done.full)} of them have no place left and get none: raise \\[platform.web] annotators_per_target"
        )
    out.print(f"Next: [bold]imitable status {plain(str(directory))}[/]")
