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


def _packed(trial: Any, truth: Any) -> Any:
    """A whole number whose largest is that of the last trial, and holds its truth to 2^-38. Trials are up to 10^6."""
    return trial * 2**43 + ((truth + scoring.TOP) * 2.0**38 + 0.5).floor().cast("int64")


def _unpacked(number: Any) -> Any:
    return (number & (2**43 - 1)).cast("float64") / 2.0**38 - scoring.TOP


def known_episodes(guesses: Any) -> Any:
    """One row an episode: what it is, and its number `e`; `a` and `t` are those of its annotator and its target.

    Numbers follow the order of the ids. Whatever is done for each round goes by them, since numbers are cheap to sort.
    """
    import ibis

    g = guesses
    each = g.group_by("episode_id").agg(
        annotator_id=g.annotator_id.min(),
        target_id=g.target_id.min(),
        level=g.level.min().fill_null(""),
        platform=g.platform.min().fill_null(""),
        l_ref=g.l_ref.min(),
    )
    return each.mutate(
        e=ibis.row_number().over(order_by="episode_id"),
        a=ibis.dense_rank().over(order_by="annotator_id"),
        t=ibis.dense_rank().over(order_by="target_id"),
    )


def enriched(guesses: Any, known: Any, *, weighted: bool) -> Any:
    """The counted rounds (no attention checks), each with what had happened before it in its episode.

    `e, a, t, l_ref` are those of `known`, the episodes. Added: `held`, whether it is held out; `seen`, truths shown
    before; `m`, their mean, and `c`, the last of them (null without); `place`, number of practice rounds up to it, of
    `practice` in the episode; `starts`, whether it is the first practice round, with no truth shown and no trial
    missing before; `u`, its item's weight as a share of the largest of its target, and `heaviest`, that weight.
    """
    import ibis

    before = ibis.window(group_by="e", order_by="trial", rows=(None, -1))
    so_far = ibis.window(group_by="e", order_by="trial", rows=(None, 0))
    everywhere = ibis.window(group_by="e", order_by="trial", rows=(None, None))
    own = known.select("episode_id", "e", "a", "t", "l_ref")
    named = guesses.drop("l_ref").inner_join(own, "episode_id")
    heaviest, u = ibis.literal(1.0), ibis.null("float64")
    if weighted:
        most = guesses.group_by("target_id").agg(heaviest=guesses.weight.max())
        named = named.left_join(most, "target_id")
        heaviest, u = named.heaviest, (named.weight > 0).ifelse(named.weight / named.heaviest, u)
    narrow = named.select(
        "e",
        "a",
        "t",
        "item_id",
        "trial",
        "l_ref",
        "seconds",
        "answered_at",
        g=named.guess,
        z=named.truth,
        shown=named.feedback,
        held=named.phase == "held_out",
        practises=named.phase == "practice",
        u=u,
        heaviest=heaviest,
    )
    practises = narrow.practises.cast("int64")
    rounds = narrow.mutate(
        seen=narrow.shown.cast("int64").sum().over(before).cast("int64").fill_null(0),
        total=narrow.shown.ifelse(whole(narrow.z), 0).sum().over(before).cast("float64") / ONE,
        last=narrow.shown.ifelse(_packed(narrow.trial, narrow.z), ibis.null("int64")).max().over(before),
        place=practises.sum().over(so_far).cast("int64"),
        practice=practises.sum().over(everywhere).cast("int64"),
        earlier=ibis.row_number().over(so_far).cast("int64"),
    )
    told = rounds.seen > 0
    first = rounds.practises & (rounds.place == 1) & (rounds.seen == 0)
    return rounds.filter(rounds.held | rounds.practises).select(
        "e",
        "a",
        "t",
        "item_id",
        "trial",
        "l_ref",
        "seconds",
        "answered_at",
        "g",
        "z",
        "held",
        "u",
        "heaviest",
        "seen",
        "place",
        "practice",
        m=told.ifelse(rounds.total / rounds.seen.cast("float64"), ibis.null("float64")),
        c=told.ifelse(_unpacked(rounds["last"]), ibis.null("float64")),
        starts=first & (rounds.earlier == rounds.trial - 1),
    )


def annotators(known: Any) -> Any:
    """`a, annotator_id`."""
    return known.select("a", "annotator_id").distinct()


def targets(known: Any) -> Any:
    """`t, target_id`."""
    return known.select("t", "target_id").distinct()


def usual_knots(rounds: Any, engine: Engine) -> Knots:
    """Feedbacks at the knots of the learning curve: none, about three, and the usual number before held-out rounds.

    Usual is what most episodes have, the larger of two; without held-out rounds it is that of the last practice round.
    """
    import ibis

    ends = rounds.group_by("e").agg(
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
