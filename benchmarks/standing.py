"""The activation benchmark's tables: tokens a second, and where imitable stands against its goals."""

from __future__ import annotations

import statistics
from typing import Any


def table(part: Any, *, cuda: bool) -> list[str]:
    """One line a condition. `of the limit`: beside the bare base model of the same dtype and depth."""
    lines = [
        "| condition | dtype |" + ("" if cuda else " tokens a CPU-second |") + " tokens a second | lowest to highest |"
    ]
    lines[0] += " of the limit | difference from a plain hook |"
    lines.append("| --- | --- |" + ("" if cuda else " ---: |") + " ---: | ---: | ---: | ---: |")
    for job in part.timed.values():
        numbers = job.wall if cuda else job.cpu
        cells = [job.contender.says, job.contender.dtype]
        cells += [] if cuda else [f"{statistics.median(job.cpu):,.0f}"]
        cells.append(f"{statistics.median(job.wall):,.0f}")
        cells.append(f"{min(numbers):,.0f} to {max(numbers):,.0f}")
        limit = part.timed.get(job.contender.limit)
        cells.append(f"{rate(job, cuda=cuda) / rate(limit, cuda=cuda):.2f}" if limit else "")
        if job.far is None:
            cells.append("")
        elif job.contender.dtype == "float32":
            cells.append(f"{job.far:.0e}")
        else:
            cells.append(f"{job.far:.0e}, r {job.alike:.4f}")
        lines.append("| " + " | ".join(cells) + " |")
    lines += [f"\n{absent.says} does not run here: {absent.why}" for absent in part.absent]
    return lines


def goals(parts: list[Any], *, cuda: bool) -> list[str]:
    """Ratios of medians against what was aimed at."""
    lines = ["| goal | where | ratio | |", "| --- | --- | ---: | --- |"]

    def line(goal: str, where: str, part: Any, over: str, under: str, least: float | None) -> None:
        a, b = part.timed.get(over), part.timed.get(under)
        if a is None or b is None:
            return
        ratio = rate(a, cuda=cuda) / rate(b, cuda=cuda)
        verdict = "" if least is None else "reached" if ratio >= least else f"not reached here ({ratio:.2f})"
        lines.append(f"| {goal} | {where} | {ratio:.2f} | {verdict} |")

    for part in parts:
        name = part.title.partition(":")[0]
        if "naive" in part.timed:
            fast = part.scanning
            says = "10 times a naive loop on real sentences"
            line(
                f"≥ {says}",
                f"{name}, {fast}, neurons of the first half of the layers",
                part,
                f"shallow.{fast}",
                "naive",
                10,
            )
            line(f"({says})", f"{name}, {fast}, neurons of all layers", part, f"ours.{fast}", "naive", None)
            line(f"({says})", f"{name}, float32, neurons of all layers", part, "ours.float32", "naive", None)
            continue
        for dtype in ("float32", "bfloat16"):
            for key, what in (("ours", "72 neurons"), ("moments", "moments of all"), ("shallow", "half the layers")):
                limit = "half" if key == "shallow" else "base"
                where = f"{name}, {dtype}, {what}"
                line("≥ 0.95 of the bare base model", where, part, f"{key}.{dtype}", f"{limit}.{dtype}", 0.95)
        aimed = name == "GPT-2-shape"  # "72 neurons of 12 layers"
        for rival, key in (("TransformerLens", "lens"), ("nnsight", "sight")):
            for goal, over, least in (
                (f"4 times {rival} in float32, our scanning dtype", f"ours.{part.scanning}", 4),
                (f"1.5 times {rival}, equal float32", "ours.float32", 1.5),
            ):
                says = f"≥ {goal}" if aimed else f"({goal})"
                line(says, f"{name}, ours in {over[5:]}", part, over, f"{key}.float32", least if aimed else None)
            line(f"({rival}, equal bfloat16)", name, part, "ours.bfloat16", f"{key}.bfloat16", None)
        line("(nnsight told to stop, float32)", name, part, "ours.float32", "sight-stop.float32", None)
        line("(nnsight given the base model, float32)", name, part, "ours.float32", "sight-base.float32", None)
        line("(TransformerLens caching everything, float32)", name, part, "ours.float32", "lens-all.float32", None)
    return [
        *lines,
        "",
        "Lines in brackets are no goals: they say where a difference comes from. MiniLM has no head: TransformerLens "
        "and nnsight were given one of random weights there, except where it says base model. On sentences the naive "
        "loop runs the whole model whichever neurons are wanted; imitable stops after the deepest.",
    ]


def rate(timed: Any, *, cuda: bool) -> float:
    """Tokens a second: of the processor's time, or of the clock where a GPU works."""
    return statistics.median(timed.wall if cuda else timed.cpu)
