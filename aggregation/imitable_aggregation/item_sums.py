"""The group-bys over enriched rounds (`rounds`) that go by item: sums for the crowd, and a sample of single guesses."""

from __future__ import annotations

from typing import Any

from .engines import Engine
from .rounds import Knots, annotators, count, on_the_curve, targets, total
from .sums import skill_squares, skill_sum


def item_sums(rounds: Any, known: Any, bias: Any, knots: Knots, engine: Engine) -> Any:
    """`Statistics.items`, of rounds with an item, given a table annotator_id, bias (or None)."""
    on_items = rounds.filter(rounds.item_id.notnull())
    if bias is not None:
        each = annotators(known).inner_join(bias, "annotator_id").select("a", "bias")
        on_items = on_items.left_join(each, "a").drop("a_right")
        on_items = on_items.mutate(b=on_items.g - on_items.bias.fill_null(0.0))
    else:
        on_items = on_items.mutate(b=on_items.g)
    x = on_the_curve(on_items, knots)
    d = (on_items.g - on_items.z).abs()
    f = on_items.mutate(
        d=d,
        x0=x[0],
        x1=x[1],
        x2=x[2],
        h_d=on_items.held.ifelse(d, 0.0),
        h_b=on_items.held.ifelse(on_items.b, 0.0),
    )
    sums = f.group_by("t", "item_id").agg(
        truth=f.z.min(),
        l_ref=f.l_ref.min(),
        n=f.count().cast("int64"),
        d=total(f.d, engine),
        dd=total(f.d * f.d, engine),
        **{f"w{i}": total(f[f"x{i}"], engine) for i in range(3)},
        h_n=count(f.held),
        h_d=total(f.h_d, engine),
        h_dd=total(f.h_d * f.h_d, engine),
        h_g=total(f.h_b, engine),
        h_gg=total(f.h_b * f.h_b, engine),
    )
    s = sums.inner_join(targets(known), "t")
    return s.select(
        "target_id",
        "item_id",
        "truth",
        "n",
        "w0",
        "w1",
        "w2",
        "h_n",
        "h_g",
        "h_gg",
        y=skill_sum(s.n, s.d, s.l_ref),
        yy=skill_squares(s.n, s.d, s.dd, s.l_ref),
        h_y=skill_sum(s.h_n, s.h_d, s.l_ref),
        h_yy=skill_squares(s.h_n, s.h_d, s.h_dd, s.l_ref),
    ).order_by("target_id", "item_id")


def held_out_sample(rounds: Any, known: Any, limit: int) -> Any:
    """`Statistics.sample`: groups of target and item, in the order of a hash of their ids, while they fit."""
    import ibis

    held = rounds.filter(rounds.held & rounds.item_id.notnull())
    groups = held.group_by("t", "item_id").agg(n=held.count())
    groups = groups.inner_join(targets(known), "t")
    groups = groups.mutate(hash=(groups.target_id + "\n" + groups.item_id).hexdigest("md5"))
    order = ibis.window(order_by=["hash", "t", "item_id"], rows=(None, 0))
    groups = groups.mutate(until=groups.n.sum().over(order))
    chosen = held.semi_join(groups.filter(groups.until <= limit), ["t", "item_id"])
    named = chosen.inner_join(known.select("e", "annotator_id", "target_id"), "e")
    return named.order_by("target_id", "item_id", "annotator_id", "e", "trial").select(
        "annotator_id", "target_id", "item_id", guess=named.g, truth=named.z, l_ref=named.l_ref
    )
