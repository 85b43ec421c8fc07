"""What each guess was made after: truths shown so far in its episode, and where on the learning curve it stands.

Ibis expressions only: they say what is computed, an engine says where.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from . import scoring
from .engines import ONE, Engine

COLUMNS = (
    "episode_id",
    "annotator_id",
    "target_id",
    "item_id",
    "level",
    "platform",
    "trial",
    "phase",
    "guess",
    "truth",
    "l_ref",
    "feedback",
    "weight",
    "seconds",
    "answered_at",
    "model_id",
    "kind",
    "site",
    "unit",
    "selected_by",
)
"""The columns of the table of guesses that statistics are made of."""

Knots = tuple[float, float, float]
"""Truths shown before: at the start, the middle and the end of the learning curve."""

MIDDLE = 3.0
"""Feedbacks at the middle knot of the learning curve, where practice is longer than that."""


def whole(value: Any) -> Any:
    """A number as a whole multiple of 1 / ONE."""
    return (value * ONE + 0.5).floor().cast("int64")


def total(value: Any, engine: Engine) -> Any:
    """The exact sum of a column rounded to multiples of 1 / ONE; 0 where it has no value."""
    return whole(value).cast(engine.whole).sum().cast("float64").fill_null(0.0) / ONE


def count(flags: Any) -> Any:
    """How many are true."""
    return flags.cast("int64").sum().cast("int64").fill_null(0)


def enriched(guesses: Any, *, weighted: bool) -> Any:
    """The counted rounds (no attention checks), each with what had happened before it in its episode.

    Added: `held`, whether it is held out; `seen`, truths shown before; `told`, whether there was one; `m`, their mean,
    and `c`, the last of them (null without); `place`, number of practice rounds up to it, of `practice` in the
    episode; `starts`, whether it is the first practice round, with no truth shown and no trial missing before; `u`,
    its item's weight as a share of the largest of its target, and `heaviest`, that weight.
    """
    import ibis

    before = ibis.window(group_by="episode_id", order_by="trial", rows=(None, -1))
    so_far = ibis.window(group_by="episode_id", order_by="trial", rows=(None, 0))
    everywhere = ibis.window(group_by="episode_id", order_by="trial", rows=(None, None))
    if weighted:
        heaviest = guesses.group_by("target_id").agg(heaviest=guesses.weight.max())
        guesses = guesses.left_join(heaviest, "target_id").drop("target_id_right")
        u = (guesses.weight > 0).ifelse(guesses.weight / guesses.heaviest, ibis.null("float64"))
    else:
        guesses = guesses.mutate(heaviest=ibis.literal(1.0))
        u = ibis.null("float64")
    shown = guesses.feedback
    practises = (guesses.phase == "practice").cast("int64")
    rounds = guesses.mutate(
        u=u,
        held=guesses.phase == "held_out",
        seen=shown.cast("int64").sum().over(before).cast("int64").fill_null(0),
        shown=shown.ifelse(whole(guesses.truth), 0).sum().over(before).cast("float64") / ONE,
        c=guesses.truth.argmax(shown.ifelse(guesses.trial, ibis.null("int64"))).over(before),
        place=practises.sum().over(so_far).cast("int64"),
        practice=practises.sum().over(everywhere).cast("int64"),
        earlier=ibis.row_number().over(so_far).cast("int64"),
    )
    told = rounds.seen > 0
    first = (rounds.phase == "practice") & (rounds.place == 1) & (rounds.seen == 0)
    kept = rounds.filter(rounds.phase != "check")
    return kept.select(
        "episode_id",
        "annotator_id",
        "target_id",
        "item_id",
        "level",
        "platform",
        "trial",
        "held",
        "l_ref",
        "seen",
        "place",
        "practice",
        "u",
        "heaviest",
        "seconds",
        "answered_at",
        g=rounds.guess,
        z=rounds.truth,
        told=told,
        m=told.ifelse(rounds.shown / rounds.seen.cast("float64"), ibis.null("float64")),
        c=told.ifelse(rounds.c, ibis.null("float64")),
        starts=first & (rounds.earlier == rounds.trial - 1),
    )


def usual_knots(rounds: Any, engine: Engine) -> Knots:
    """Feedbacks at the knots of the learning curve: none, about three, and the usual number before held-out rounds.

    Usual is what most episodes have, the larger of two; without held-out rounds it is that of the last practice round.
    """
    import ibis

    ends = rounds.group_by("episode_id").agg(
        held=rounds.held.ifelse(rounds.seen, ibis.null("int64")).max(), last=rounds.seen.max()
    )
    often = ends.group_by("held", "last").agg(n=ends.count())
    counts = engine.fetch(often)
    name = "held" if counts["held"].notna().any() else "last"
    by_number: pd.Series[int] = counts.groupby(name)["n"].sum()
    last = float(max(by_number.index[by_number == by_number.max()], default=1.0))
    last = max(last, 1.0)
    return 0.0, MIDDLE if last > MIDDLE else last / 2, last


def on_the_curve(rounds: Any, knots: Knots) -> tuple[Any, Any, Any]:
    """X_0, X_1, X_2 of a round: linear interpolation between the knots; held-out rounds stand at the last."""
    _, middle, last = knots
    seen = rounds.seen.cast("float64")
    risen = (seen / middle).clip(upper=1.0)
    end = ((seen - middle) / (last - middle)).clip(lower=0.0, upper=1.0)
    at_end = rounds.held.ifelse(1.0, end)
    at_start = rounds.held.ifelse(0.0, 1.0 - risen)
    return at_start, 1.0 - at_start - at_end, at_end


def low(smallest: Any, target_id: Any) -> Any:
    """Lower end of a target's display scale, given the smallest guess or truth on it."""
    both = target_id.endswith(":both") | (smallest < 0)
    return both.ifelse(scoring.lowest("both"), scoring.lowest("pos")).cast("float64")
