"""The group-bys over enriched rounds (`rounds`), as ibis expressions: episodes, targets, people, curve."""

from __future__ import annotations

from typing import Any

from .engines import Engine
from .rounds import Knots, annotators, count, low, on_the_curve, total

HURRIED = 1.0
"""Seconds below which a guess is fast."""
COPIED = 0.05 + 1e-9
"""A guess that is this near the last truth shown repeats it: truths are shown with one decimal."""
LEAST_SKILL = -1000.0
"""Skill below this counts as this in the learning curve of the report."""


def mean(sums: Any, n: Any) -> Any:
    """A sum over a count; null where the count is 0."""
    return sums / n.cast("float64").nullif(0.0)


def skill_sum(n: Any, loss: Any, l_ref: Any) -> Any:
    """Sum of the skills of n guesses, from the sum of their losses."""
    return n.cast("float64") - loss / l_ref


def skill_squares(n: Any, loss: Any, squares: Any, l_ref: Any) -> Any:
    """Sum of the squared skills of n guesses, from the sums of their losses and squared losses."""
    return (n.cast("float64") - 2.0 * (loss / l_ref) + squares / (l_ref * l_ref)).clip(lower=0.0)


def _products(a: dict[str, Any], sums: Any) -> dict[str, Any]:
    names = list(a)
    return {f"{p}{q}": sums(a[p] * a[q]) for i, p in enumerate(names) for q in names[i:]}


def episode_sums(rounds: Any, known: Any, knots: Knots, engine: Engine) -> Any:
    """`Statistics.episodes`, and what `people_sums` adds up."""

    def sums(value: Any) -> Any:
        return total(value, engine)

    x = on_the_curve(rounds, knots)
    middle = rounds.practice + 1
    told = rounds.seen > 0
    frame = rounds.mutate(
        d=(rounds.g - rounds.z).abs(),
        x0=x[0],
        x1=x[1],
        x2=x[2],
        t_g=told.ifelse(rounds.g, 0.0),
        t_z=told.ifelse(rounds.z, 0.0),
        t_m=rounds.m.fill_null(0.0),
        t_c=rounds.c.fill_null(0.0),
        h_g=rounds.held.ifelse(rounds.g, 0.0),
        h_z=rounds.held.ifelse(rounds.z, 0.0),
        w_w=rounds.held.ifelse(rounds.u, 0.0).fill_null(0.0),
        is_early=~rounds.held & (rounds.place * 2 < middle),
        is_late=~rounds.held & (rounds.place * 2 > middle),
    )
    f = frame.mutate(h_d=frame.held.ifelse(frame.d, 0.0), w_g=frame.w_w * frame.g, w_z=frame.w_w * frame.z)
    base = f.group_by("e").agg(
        l_ref=f.l_ref.min(),
        n=f.count().cast("int64"),
        n_held_out=count(f.held),
        **{f"x{i}{j}": sums(f[f"x{i}"] * f[f"x{j}"]) for i in range(3) for j in range(i, 3)},
        **{f"x{i}": sums(f[f"x{i}"]) for i in range(3)},
        **{f"x{i}d": sums(f[f"x{i}"] * f.d) for i in range(3)},
        d=sums(f.d),
        dd=sums(f.d * f.d),
        g=sums(f.g),
        z=sums(f.z),
        **_products({"g": f.g, "z": f.z}, sums),
        t_n=count(f.seen > 0),
        **{f"t_{name}": sums(f[f"t_{name}"]) for name in "gzmc"},
        **{f"t_{k}": v for k, v in _products({name: f[f"t_{name}"] for name in "gzmc"}, sums).items()},
        h_g=sums(f.h_g),
        h_z=sums(f.h_z),
        **{f"h_{k}": v for k, v in _products({"g": f.h_g, "z": f.h_z}, sums).items()},
        h_d=sums(f.h_d),
        h_dd=sums(f.h_d * f.h_d),
        w_n=sums(f.w_w),
        w_g=sums(f.w_g),
        w_z=sums(f.w_z),
        w_gg=sums(f.w_g * f.g),
        w_zz=sums(f.w_z * f.z),
        w_gz=sums(f.w_g * f.z),
        heaviest=f.heaviest.max().fill_null(1.0),
        start_d=f.starts.ifelse(f.d, None).min(),
        early_n=count(f.is_early),
        early_d=sums(f.is_early.ifelse(f.d, 0.0)),
        late_n=count(f.is_late),
        late_d=sums(f.is_late.ifelse(f.d, 0.0)),
        same=count(((f.g - f.c).abs() <= COPIED).fill_null(False)),
        timed=count(f.seconds.notnull()),
        hurried=count((f.seconds < HURRIED).fill_null(False)),
    )
    b = base
    y = skill_sum(b.n, b.d, b.l_ref)
    h_y = skill_sum(b.n_held_out, b.h_d, b.l_ref)
    sums_of = b.mutate(
        n_practice=b.n - b.n_held_out,
        **{f"xy{i}": b[f"x{i}"] - b[f"x{i}d"] / b.l_ref for i in range(3)},
        y=y,
        yy=skill_squares(b.n, b.d, b.dd, b.l_ref),
        h_y=h_y,
        h_yy=skill_squares(b.n_held_out, b.h_d, b.h_dd, b.l_ref),
        **{f"w_{name}": b[f"w_{name}"] * b.heaviest for name in ("n", "g", "z", "gg", "zz", "gz")},
        start=1.0 - b.start_d / b.l_ref,
        held_out=mean(h_y, b.n_held_out),
        mean_skill=mean(y, b.n),
        early=mean(skill_sum(b.early_n, b.early_d, b.l_ref), b.early_n),
        late=mean(skill_sum(b.late_n, b.late_d, b.l_ref), b.late_n),
    )
    return sums_of.drop("l_ref").inner_join(known, "e")


EPISODE_COLUMNS = (
    *("episode_id", "annotator_id", "target_id", "level", "platform", "l_ref", "n", "n_practice", "n_held_out"),
    *("x00", "x01", "x02", "x11", "x12", "x22", "xy0", "xy1", "xy2", "y", "yy", "g", "z", "gg", "zz", "gz"),
    *(
        "t_n",
        "t_g",
        "t_z",
        "t_m",
        "t_c",
        "t_gg",
        "t_zz",
        "t_mm",
        "t_cc",
        "t_gz",
        "t_gm",
        "t_gc",
        "t_zm",
        "t_zc",
        "t_mc",
    ),
    *("h_g", "h_z", "h_gg", "h_zz", "h_gz", "h_y", "h_yy", "w_n", "w_g", "w_z", "w_gg", "w_zz", "w_gz"),
    *("start", "held_out", "mean_skill", "early", "late"),
)
"""Of `Statistics.episodes`, but for `low`, which is the target's."""


def target_table(guesses: Any) -> Any:
    """`Statistics.targets`, from all guesses."""
    import ibis

    said = {name: guesses[name].min().fill_null("") for name in ("model_id", "kind", "site", "unit", "selected_by")}
    smallest = ibis.least(guesses.guess.min(), guesses.truth.min())
    table = guesses.group_by("target_id").agg(**said, l_ref=guesses.l_ref.min(), smallest=smallest)
    return table.mutate(low=low(table.smallest, table.target_id)).drop("smallest").order_by("target_id")


def people_sums(episodes: Any) -> Any:
    """Of `Statistics.people`, what follows from sums over episodes."""
    p = episodes.group_by("annotator_id").agg(
        told=episodes.t_n.sum().cast("int64"),
        same=episodes.same.sum().cast("int64"),
        timed=episodes.timed.sum().cast("int64"),
        hurried=episodes.hurried.sum().cast("int64"),
    )
    return p.select(
        "annotator_id",
        fast=mean(p.hurried.cast("float64"), p.timed),
        same_last=mean(p.same.cast("float64"), p.told),
    ).order_by("annotator_id")


MEETING = ("a", "t", "item_id")
"""What makes two guesses one meeting again."""


def came_back(rounds: Any) -> Any:
    """The annotators, targets and items that met more than once."""
    known = rounds.filter(rounds.item_id.notnull())
    often = known.group_by(MEETING).agg(times=known.count())
    return often.filter(often.times > 1).drop("times")


def repeated(rounds: Any, known: Any, often: Any, engine: Engine) -> Any:
    """By annotator_id: how often an item came back, and the mean |guess - guess before| there."""
    import ibis

    again = rounds.semi_join(often, MEETING)
    order = [again.answered_at.asc(nulls_first=False), again.e.asc(), again.trial.asc()]
    again = again.mutate(before=again.g.lag().over(ibis.window(group_by=MEETING, order_by=order)))
    again = again.filter(again.before.notnull())
    gaps = again.group_by("a").agg(
        repeats=again.count().cast("int64"), gaps=total((again.g - again.before).abs(), engine)
    )
    gaps = gaps.inner_join(annotators(known), "a")
    return gaps.select("annotator_id", "repeats", repeat_gap=mean(gaps.gaps, gaps.repeats))


def median_seconds(rounds: Any, known: Any) -> Any:
    """By annotator_id: median of the seconds of a guess."""
    timed = rounds.filter(rounds.seconds.notnull())
    found = timed.group_by("a").agg(median_seconds=timed.seconds.median())
    return found.inner_join(annotators(known), "a").select("annotator_id", "median_seconds")


def curve_table(rounds: Any, engine: Engine) -> Any:
    """`Statistics.curve`: first the mean skill of every annotator, then mean and sd over annotators."""
    skill = (1.0 - (rounds.g - rounds.z).abs() / rounds.l_ref).clip(lower=LEAST_SKILL)
    each = rounds.mutate(y=skill).group_by("a", "held", "trial")
    each = each.agg(y=lambda t: mean(total(t.y, engine), t.count()))
    c = each.group_by("held", "trial").agg(
        n=each.count().cast("int64"), y=total(each.y, engine), yy=total(each.y * each.y, engine)
    )
    average = mean(c.y, c.n)
    spread = mean((c.yy - c.y * average).clip(lower=0.0), c.n - 1)
    phase = c.held.ifelse("held_out", "practice")
    return c.order_by("held", "trial").select("trial", "n", phase=phase, mean=average, sd=spread.sqrt())
