"""From statistics to everything that is estimated: who counts, the fit, the crowd, the groups."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from .annotators import annotators_table, bias
from .conduct import Influence, influence, judge
from .crowd import Crowd, crowd
from .episodes import finished
from .model import Fit, fit
from .ranking import by_level, in_order, levels_table, ranking_table
from .settings import Settings
from .statistics import Statistics

FEW = 2
"""Draws where only means are asked for."""
WHO = "annotators.csv says who and why, --keep-bad keeps them."
"""Where a ranking says more about those who were left out."""


@dataclass(frozen=True)
class Analysis:
    """Everything that a ranking writes and shows."""

    statistics: Statistics
    fit: Fit
    ranking: pd.DataFrame
    """ranking.csv."""
    annotators: pd.DataFrame
    """annotators.csv."""
    levels: pd.DataFrame | None
    """levels.csv, where levels vary."""
    by_level: pd.DataFrame | None
    """`ranking.by_level`, where levels vary."""
    groups: pd.DataFrame | None
    """groups.csv, where groups were asked for."""
    crowd: Crowd
    finished: pd.Series[bool]
    """By episode_id."""
    excluded: list[str]
    """Annotators left out of the fit."""
    influence: Influence | None
    """What leaving them out did; None where nobody was."""
    notes: list[str]


def analyse(
    statistics: Statistics, targets: pd.DataFrame | None, episodes_played: pd.DataFrame | None, settings: Settings
) -> Analysis:
    """Judge, fit and tabulate. `targets` and `episodes_played` are targets.csv and episodes_played.csv, where there.

    Raises TableError for a level that nobody played, and for a column that cannot be contrasted.
    """
    every = statistics.episodes
    verdict = judge(every, statistics.people)
    notes: list[str] = []
    if verdict["excluded"].all() and not settings.keep_bad:
        notes.append("Nobody seems to play in earnest. Nobody was left out, so that there is something to rank.")
    if settings.keep_bad or verdict["excluded"].all():
        verdict = verdict.assign(excluded=False)
    excluded = sorted(str(name) for name in verdict.index[verdict["excluded"]])
    played = every[~every["annotator_id"].isin(excluded)].reset_index(drop=True)
    options = {"level": settings.level, "seed": settings.seed}
    biases = bias(played)
    items = statistics.items(excluded, biases)
    found = fit(played, items, statistics.knots, **options)  # type: ignore[arg-type]
    people, changed = found.people, None
    notes += found.notes
    if excluded:
        notes.append(
            f"{len(excluded)} of {every['annotator_id'].nunique()} annotators do not seem to play in earnest and are "
            f"left out; {WHO}"
        )
        whole = fit(every, statistics.items(), statistics.knots, draws=FEW, **options)  # type: ignore[arg-type]
        left = whole.people.loc[excluded]
        people = pd.concat([people, left])
        changed = influence(found.targets["imitability"], whole.targets["imitability"], every, excluded)
        lost = sorted(set(every["target_id"]) - set(found.target_ids))
        if lost:
            notes.append(f"Only annotators who were left out played {', '.join(lost[:5])}: not ranked.")
    done = finished(every, episodes_played)
    about = statistics.targets if targets is None else _joined(statistics.targets, targets)
    pooled = crowd(statistics, set(excluded), biases, items=items, coverage=settings.coverage, seed=settings.seed)
    ranking = ranking_table(found, played, about, done, coverage=settings.coverage, top_k=settings.top_k)
    ranking = in_order(ranking.join(pooled.targets, on="target_id"))
    return Analysis(
        statistics=statistics,
        fit=found,
        ranking=ranking,
        annotators=annotators_table(people, statistics, verdict, coverage=settings.coverage),
        levels=levels_table(found, played, coverage=settings.coverage) if found.levels else None,
        by_level=by_level(found, played, coverage=settings.coverage) if found.levels else None,
        groups=_groups(found, played, about, settings) if settings.by else None,
        crowd=pooled,
        finished=done,
        excluded=excluded,
        influence=changed,
        notes=[*notes, *_apart(played), *pooled.notes],
    )


def _joined(seen: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """What the guesses say of their targets, and what targets.csv says beyond that."""
    more = [name for name in told if name not in seen]
    return seen.merge(told[["target_id", *more]], on="target_id", how="left", validate="one_to_one")


def _apart(played: pd.DataFrame) -> list[str]:
    """A note on levels that no target has in common."""
    targets = {str(level): set(each) for level, each in played.groupby("level")["target_id"]}
    apart = [f"{a} and {b}" for a, b in combinations(sorted(targets), 2) if not targets[a] & targets[b]]
    if not apart:
        return []
    return [f"No target was played both at {'; nor at '.join(apart)}: what differs there may be the targets."]


def _groups(found: Fit, played: pd.DataFrame, about: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    from .groups import groups_table

    return groups_table(
        found.samples,
        found.target_ids,
        about,
        settings.by,
        levels=found.levels,
        played={str(level): int(n) for level, n in played.groupby("level")["target_id"].nunique().items()},
        coverage=settings.coverage,
    )
