"""`imitable plan`: how well a campaign would rank its targets, and its cost; where the next episodes should go."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imitable.campaign import Campaign, open_folder
from imitable.commands.players import Players, players_of
from imitable.errors import TablesError

if TYPE_CHECKING:
    import pandas as pd

    from imitable_aggregation.pilot import Pilot
    from imitable_aggregation.planning import Forecast

TIMES = (Decimal("0.5"), Decimal(1), Decimal(2), Decimal(4))
"""Numbers of annotators that are compared, relative to the one asked for."""
USUAL_SKILL, USUAL_L_REF = 0.25, 3.0
"""What an expected bonus is reckoned with where nothing was played: mean held-out skill, and loss of a constant."""


@dataclass(frozen=True)
class Cost:
    """What annotators earn, in minor units (cents) of a currency; platforms' fees come on top."""

    currency: str
    """Three letters, or empty where it was not said."""
    sittings: int
    base: int
    """Without any bonus."""
    bonus: int
    """Expected."""
    most: int
    """The largest bonus that there could be."""


@dataclass(frozen=True)
class Row:
    """One size of a campaign."""

    forecast: Forecast
    cost: Cost | None
    """None where nothing was said of pay."""
    asked: bool
    """Whether it is the size that was asked for."""


@dataclass(frozen=True)
class Expected:
    """What campaigns of half, one, two and four times as many annotators would tell."""

    rows: list[Row]
    practice: int
    held_out: int
    honest: float
    """Share of annotators who are taken to play in earnest."""
    source: str
    """Where the variances come from."""
    simulated: bool
    cap: int | None
    """[pay] cap, in minor units."""
    notes: list[str]
    """What was filled in, assumed or could not be told apart in the pilot, in sentences."""
    players: Players | None
    """What automatic players made of the campaign's targets at build; None before that."""
    unbuilt: bool
    """Whether a campaign was named that is still to be built."""


@dataclass(frozen=True)
class NextEpisodes:
    """The plan that was written."""

    plan: pd.DataFrame
    """target_id, level, probability; one row an episode."""
    out: Path
    targets: int
    """Targets that were to choose from."""
    simulated: bool
    notes: list[str]


def expect(
    *,
    targets: int,
    annotators: int,
    episodes: int,
    pilot: Path | None = None,
    campaign: Path | None = None,
    cost_per_sitting: Decimal | None = None,
    allow_simulated: bool = False,
    seed: int = 0,
) -> Expected:
    """Expect what a campaign tells, from the variances of a pilot (guesses, or a folder of `rank`) or of simulations.

    `campaign` is a campaign's folder, for its rounds and its pay; `cost_per_sitting` is used instead of its pay, and
    without it an annotator plays all his episodes in one sitting. Raises TablesError for what cannot be, CampaignError
    for a folder that cannot be read.
    """
    from imitable_aggregation.errors import TableError
    from imitable_aggregation.planning import DEFAULT, forecast

    folder = open_folder(campaign) if campaign is not None else None
    config = folder.config if folder else None
    practice = config.episode.practice if config else 15
    held_out = config.episode.held_out if config else 5
    pool = config.episode.pool.held_out if config else 40
    played = _pilot(pilot, allow_simulated=allow_simulated, seed=seed) if pilot is not None else None
    honest = played.honest if played else 1.0
    rows = []
    try:
        for people in dict.fromkeys(max(1, int(annotators * times)) for times in TIMES):
            found = forecast(
                played.variances if played else DEFAULT,
                targets=targets,
                annotators=people,
                episodes=episodes,
                practice=practice,
                held_out=held_out,
                pool=pool,
                honest=honest,
                seed=seed,
            )
            cost = _cost(people, episodes, config, cost_per_sitting, played)
            rows.append(Row(found, cost, asked=people == annotators))
    except TableError as error:
        raise TablesError(str(error)) from error
    return Expected(
        rows=rows,
        practice=practice,
        held_out=held_out,
        honest=honest,
        source=(played.variances if played else DEFAULT).source,
        simulated=played.simulated if played else False,
        cap=_minor(Decimal(config.pay.cap)) if config and config.pay.cap is not None else None,
        notes=played.notes if played else [],
        players=players_of(folder) if folder else None,
        unbuilt=folder is not None and not folder.build.exists(),
    )


def plan_next(
    source: Path,
    *,
    episodes: int,
    out: Path,
    goal: Literal["top", "all"] = "top",
    top_k: int = 10,
    allow_simulated: bool = False,
    seed: int = 0,
) -> NextEpisodes:
    """Choose the next episodes from what was played, and write them to `out`, whole or not at all.

    `source` is an export folder, a file of guesses, or a folder of `rank`. Raises TablesError naming file, row and
    field.
    """
    import numpy as np

    from imitable_aggregation.allocation import next_episodes
    from imitable_aggregation.errors import TableError
    from imitable_aggregation.plan_files import write_plan

    played = _pilot(source, allow_simulated=allow_simulated, seed=seed)
    try:
        chosen = next_episodes(
            {"held_out": played.held_out},
            played.target_ids,
            episodes,
            goal,
            k=top_k,
            rng=np.random.default_rng([20261128, seed]),
            levels=played.levels,
        )
        write_plan(out, chosen)
    except TableError as error:
        raise TablesError(str(error)) from error
    return NextEpisodes(chosen, out, len(played.target_ids), played.simulated, played.notes)


def _pilot(source: Path, *, allow_simulated: bool, seed: int) -> Pilot:
    from imitable_aggregation.errors import TableError
    from imitable_aggregation.pilot import read_pilot

    try:
        return read_pilot(source, allow_simulated=allow_simulated, seed=seed)
    except TableError as error:
        raise TablesError(str(error)) from error


def _cost(
    annotators: int, episodes: int, config: Campaign | None, per_sitting: Decimal | None, played: Pilot | None
) -> Cost | None:
    if per_sitting is None and config is None:
        return None
    sittings = annotators * -(-episodes // (config.sitting.episodes if config else episodes))
    currency = config.pay.currency if config else ""
    if per_sitting is not None or config is None:
        return Cost(currency, sittings, sittings * _minor(per_sitting or Decimal(0)), 0, 0)
    skill, reference = (played.skill, played.l_ref) if played else (USUAL_SKILL, USUAL_L_REF)
    points = Decimal(annotators * episodes * config.episode.held_out) * Decimal(repr(float(reference)))
    most = Decimal(config.pay.bonus_per_point) * points
    return Cost(
        currency,
        sittings,
        base=sittings * _minor(Decimal(config.pay.base)),
        bonus=_minor(most * Decimal(repr(max(0.0, float(skill))))),
        most=_minor(most),
    )


def _minor(amount: Decimal) -> int:
    """An amount in minor units; what is smaller counts as one more."""
    return int((amount * 100).to_integral_value(rounding=ROUND_UP))
