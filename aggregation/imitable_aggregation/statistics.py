"""One pass over the guesses, to everything that the estimators need: sums for each episode, person, target and item.

Nothing after this needs the guesses themselves. The sums (`sums`, `item_sums`) are written once, as ibis expressions,
for every engine (`engines`), and are the same to the last bit whatever the engine and the number of threads, since they
are exact sums of guesses, truths and losses rounded to multiples of 2^-40. Skill is `1 - loss / l_ref`, and l_ref is
one number a target, so that sums of skill follow from sums of losses.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .engines import Engine, Name, engine
from .item_sums import held_out_sample, item_sums
from .rounds import COLUMNS, Knots, count, enriched, known_episodes, usual_knots
from .sums import (
    EPISODE_COLUMNS,
    came_back,
    curve_table,
    episode_sums,
    median_seconds,
    people_sums,
    repeated,
    target_table,
)

TOGETHER = 24
"""Columns of the episodes that are fetched together."""
ITEM_COLUMNS = ["target_id", "item_id", "truth", "n", "y", "yy", "w0", "w1", "w2", "h_n", "h_y", "h_yy", "h_g", "h_gg"]


@dataclass(frozen=True)
class Statistics:
    """What is known of the guesses that count; attention checks do not. Text is "" where nothing is said."""

    episodes: pd.DataFrame
    """One row an episode, by episode_id: `annotator_id, target_id, level, platform`; `l_ref`, `low` (lower end of the
    display scale, 0 or -10); `n, n_practice, n_held_out` rounds. With X the place on the learning curve (`knots`), y
    the skill, g the guess and z the truth, over all rounds: `xIJ` = sum X_I X_J, `xyJ` = sum X_J y, `y, yy, g, z, gg,
    zz, gz`. `t_*`: over the rounds told of a truth before, m the mean of those truths, c the last; `t_n` such rounds.
    `h_*`: over held-out rounds. `w_*`: over held-out rounds whose item has a weight > 0, times that weight; `w_n` the
    sum of weights. `start`: skill of the first practice round, if no truth was shown and no round is missing before
    it; `held_out, mean_skill, early, late`: mean skills, the last two of the first and second half of practice. NaN
    without such rounds."""
    targets: pd.DataFrame
    """By target_id: `model_id, kind, site, unit, selected_by, l_ref, low`."""
    people: pd.DataFrame
    """By annotator_id: `median_seconds`, `fast` (share of guesses under 1 s), both NaN without seconds; `repeats` (how
    often an item came back), `repeat_gap` (mean |guess - guess before| there, NaN without); `same_last` (share of told
    guesses that repeat the last truth shown, NaN without)."""
    curve: pd.DataFrame
    """By phase (practice first) and trial: `n` annotators, `mean` and `sd` of their mean skills there."""
    knots: Knots
    """Truths shown before: at the start, the middle and the end of the learning curve."""
    _rounds: Any = field(repr=False)
    _known: Any = field(repr=False)
    _engine: Engine = field(repr=False)

    def items(
        self, excluded: Collection[str] = (), bias: pd.DataFrame | None = None, *, level: str | None = None
    ) -> pd.DataFrame:
        """One row a target and item, sorted: `truth`; of the guesses on it `n`, `y, yy` (sums of skill and of its
        square), `w0, w1, w2` (sums of X); of held-out guesses only `h_n, h_y, h_yy`, and `h_g, h_gg` (sums of the
        guess less the annotator's bias, and of its square).

        Guesses of the `excluded` annotators are left out, and those whose item is unknown. `bias` has annotator_id and
        bias (display units); who is not in it has none. `level` keeps the guesses made at one level only.
        """
        rounds = self._rounds
        if excluded:
            out = self._engine.put(pd.DataFrame({"annotator_id": sorted(excluded)}), "excluded")
            rounds = rounds.anti_join(self._known.semi_join(out, "annotator_id").select("e"), "e")
        if level is not None:
            rounds = rounds.semi_join(self._known.filter(self._known.level == level).select("e"), "e")
        less = None
        if bias is not None:
            less = self._engine.put(bias[["annotator_id", "bias"]].astype({"bias": "float64"}), "bias")
        return self._engine.fetch(item_sums(rounds, self._known, less, self.knots, self._engine))[ITEM_COLUMNS]

    def sample(self, limit: int) -> pd.DataFrame:
        """At most `limit` held-out guesses: `annotator_id, target_id, item_id, guess, truth, l_ref`.

        All guesses on an item of a target are in it or none; a hash of their ids settles which.
        """
        return self._engine.fetch(held_out_sample(self._rounds, self._known, limit))

    def close(self) -> None:
        """Let go of the guesses; `items` and `sample` cannot be asked for after this."""
        self._engine.close()


def collect(guesses: pd.DataFrame, *, name: Name = "duckdb", threads: int | None = None) -> Statistics:
    """Statistics of guesses with every column of `tables.GUESSES` (`defaults.filled`) that are free of contradictions:
    one annotator and one target an episode, one guess a trial of it, one l_ref a target.
    """
    place = engine(name, threads=threads)
    return collect_from(place.put(guesses[list(COLUMNS)], "guesses"), place)


def collect_from(guesses: Any, place: Engine) -> Statistics:
    """Statistics of a table of such guesses that an engine holds."""
    weighted = bool(place.fetch(guesses.agg(found=count((guesses.weight > 0).fill_null(False))))["found"][0])
    known = place.keep(known_episodes(guesses), "known")
    rounds = place.keep(enriched(guesses, known, weighted=weighted), "rounds")
    knots = usual_knots(rounds, place)
    kept = place.keep(episode_sums(rounds, known, knots, place), "episode_sums")
    targets = place.fetch(target_table(guesses))
    episodes = _a_few_at_a_time(kept, place)
    episodes.insert(6, "low", episodes["target_id"].map(targets.set_index("target_id")["low"]))
    return Statistics(
        episodes=episodes,
        targets=targets,
        people=_people(rounds, known, kept, place),
        curve=place.fetch(curve_table(rounds, place))[["phase", "trial", "n", "mean", "sd"]],
        knots=knots,
        _rounds=rounds,
        _known=known,
        _engine=place,
    )


def _a_few_at_a_time(kept: Any, place: Engine) -> pd.DataFrame:
    """All episodes by their id; some columns at a time, since what an engine hands over stands beside the frame."""
    names = [name for name in EPISODE_COLUMNS if name != "episode_id"]
    parts = [
        place.fetch(kept.select("episode_id", *names[begin : begin + TOGETHER]).order_by("episode_id"))
        for begin in range(0, len(names), TOGETHER)
    ]
    return pd.concat([parts[0], *(part.drop(columns="episode_id") for part in parts[1:])], axis=1)


def _people(rounds: Any, known: Any, episodes: Any, place: Engine) -> pd.DataFrame:
    people = place.fetch(people_sums(episodes))
    people = _beside(people, place.fetch(median_seconds(rounds, known)))
    often = place.keep(came_back(rounds), "came_back")
    if place.fetch(often.limit(1)).empty:  # as in every campaign of our own
        people["repeats"], people["repeat_gap"] = 0, np.nan
    else:
        people = _beside(people, place.fetch(repeated(rounds, known, often, place)))
    people["repeats"] = people["repeats"].fillna(0).astype("int64")
    return people[["annotator_id", "median_seconds", "fast", "repeats", "repeat_gap", "same_last"]]


def _beside(people: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    return people.merge(more, on="annotator_id", how="left", validate="one_to_one")
