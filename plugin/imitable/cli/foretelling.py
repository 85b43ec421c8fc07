"""What automatic players say of a build's targets and levels, before anybody is paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imitable.cli.building import plain

if TYPE_CHECKING:
    from imitable.commands.players import Help, Players


def show_players(players: Players) -> None:
    """Print it."""
    from imitable.cli.printing import out
    from imitable.commands.players import in_words

    skills = sorted(one.skill for one in players.best.values())
    out.print(
        f"automatic players: the best one on each of {players.targets} targets reaches {skills[0]:+.2f} to "
        f"{skills[-1]:+.2f}, half of them {skills[len(skills) // 2]:+.2f} or more (held-out skill)"
    )
    for line in (in_words(players), players.without):
        if line:
            out.print(f"  {plain(line)}")
    if players.levels:
        _show_levels(players.levels)


def _show_levels(levels: list[Help]) -> None:
    """A table of what levels add, and in words where they are likely to help and where not."""
    from rich.table import Table

    from imitable.cli.printing import out

    out.print("levels: the best player that goes by readings too, against the best that goes by texts alone")
    table = Table(box=None, pad_edge=False)
    for name in ("level", "with", "without", "difference", "better", "worse"):
        table.add_column(name, justify="left" if name == "level" else "right", no_wrap=True)
    for one in levels:
        table.add_row(
            plain(one.level),
            f"{one.with_readings:+.2f}",
            f"{one.without:+.2f}",
            f"{one.gain:+.3f} ± {one.standard_error:.3f}",
            f"{one.better} of {one.targets}",
            f"{one.worse} of {one.targets}",
        )
    out.print(table)
    out.print("  ±: standard error, over targets. better, worse: by more than two, over simulated episodes")
    likely = [
        f"{one.level} (most on {one.most.target_id}, {one.most.gain:+.2f})"
        for one in sorted(levels, key=lambda one: -one.gain)
        if one.likely
    ]
    some = [
        f"{one.level} ({one.better} of {one.targets}; most on {one.most.target_id}, {one.most.gain:+.2f})"
        for one in levels
        if not one.likely and one.better
    ]
    without = [one.level for one in levels if not one.likely and not one.better]
    for said, named in (
        ("likely to help", likely),
        ("on some targets alone", some),
        ("not likely to help", without),
    ):
        if named:
            out.print(f"  {said}: {plain(', '.join(named))}")
