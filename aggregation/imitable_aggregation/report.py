"""report.html: one file without network or script that says in words and figures what was found and how sure."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from statistics import NormalDist

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from . import figures
from .ranking import EASY, LEARNABLE

SHOWN = 10
"""Rows of the table of the most and of the least imitable."""
SURE = 0.9
"""Probability from which the report calls something so."""


@dataclass(frozen=True)
class Findings:
    """Everything that the report shows."""

    ranking: pd.DataFrame
    annotators: pd.DataFrame
    rows: pd.DataFrame
    """Scored guesses."""
    notes: list[str]
    estimand: str
    quarantine: pd.DataFrame
    banner: str
    """First line and part of the title, where programs played; else empty."""
    coverage: float
    top_k: int


def render(findings: Findings) -> str:
    """The report as HTML; the same findings give the same bytes."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["skill"] = _skill
    source = files("imitable_aggregation.templates").joinpath("report.html.j2").read_text(encoding="utf-8")
    ranking = findings.ranking
    has_start = bool(ranking["start"].notna().any())
    drawn = {
        "caterpillar": figures.caterpillar(ranking, findings.coverage),
        "people": figures.people(findings.annotators, findings.coverage),
        "start": figures.start_and_end(ranking) if has_start else "",
        "learning": figures.learning(_curve(findings), findings.coverage),
    }
    counted = findings.quarantine["reason"].str.replace(r"'.*?'", "…", regex=True).value_counts()
    reasons = sorted(counted.items(), key=lambda pair: (-pair[1], str(pair[0])))
    return environment.from_string(
        source
    ).render(
        f=findings,
        sentences=_sentences(findings),
        # our own SVG, whose texts were escaped when it was made
        figure={name: Markup(svg) for name, svg in drawn.items()},  # noqa: S704
        top=_rows(ranking.head(SHOWN)),
        bottom=_rows(ranking.iloc[max(SHOWN, len(ranking) - SHOWN) :]),
        reasons=reasons[:12],
        odd=_odd(findings.annotators),
        odd_more=max(0, int(findings.annotators["evidence"].notna().sum()) - SHOWN),
        easy=EASY,
        learnable=LEARNABLE,
        per_cent=f"{findings.coverage:.0%}".replace("%", " %"),
    )


def _skill(value: float) -> str:
    """A skill as it is printed: two decimals and a true minus sign; a dash where there is none."""
    return "–" if pd.isna(value) else f"{value:.2f}".replace("-", "−")


def _rows(table: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict(orient="records")]


def _odd(annotators: pd.DataFrame) -> list[dict[str, object]]:
    return _rows(annotators[annotators["evidence"].notna()].sort_values(["skill", "annotator_id"]).head(SHOWN))


def _count(n: int, one: str, more: str = "s") -> str:
    return f"{n:,} {one}{'' if n == 1 else more}"


def _sentences(findings: Findings) -> list[str]:
    """What was found and how sure it is, in words."""
    ranking, rows = findings.ranking, findings.rows
    n = len(ranking)
    best = ranking.iloc[0]
    above = int((ranking["imitability_low"] > 0).sum())
    which = "all" if above == n else "none" if above == 0 else str(above)
    told = [
        f"{_count(rows['annotator_id'].nunique(), 'annotator')} made {_count(len(rows), 'guess', 'es')}"
        f" in {_count(rows['episode_id'].nunique(), 'episode')} on {_count(n, 'target')}.",
        f"On {which} of them annotators beat the best constant guess (the whole interval lies above 0).",
        f"The most imitable, {best['target_id']}, reached a held-out skill of {_skill(best['imitability'])}"
        f" ({_skill(best['imitability_low'])} to {_skill(best['imitability_high'])}), where 1 is exact.",
    ]
    if ranking["start"].notna().any():
        easy = int((ranking["p_easy"] > SURE).sum())
        learned = int((ranking["p_learnable"] > SURE).sum())
        told.append(
            f"With at least {SURE:.0%} probability, {easy} {'was' if easy == 1 else 'were'} easy from the start"
            f" (start above {EASY:g}) and {learned} {'was' if learned == 1 else 'were'} learned"
            f" (gain above {LEARNABLE:g}).".replace("%", " %")
        )
    if n > 1:
        width = float((ranking["rank_high"] - ranking["rank_low"] + 1).median())
        told.append(
            f"How sure is the order? Half of the targets have a rank interval of at most {width:.0f}"
            f" of {n} ranks{': read it as groups, not as a list' if width > n / 4 else ''}."
        )
    return told


def _curve(findings: Findings) -> pd.DataFrame:
    """Mean skill by phase and trial: mean over annotators of their means, with a normal band over annotators."""
    rows = findings.rows
    by_person = rows.groupby(["phase", "trial", "annotator_id"])["skill"].mean()
    table = by_person.groupby(level=["phase", "trial"]).agg(["mean", "std", "size"]).reset_index()
    table = table[table["size"] >= max(1, int(table["size"].max()) // 20)]
    reach = NormalDist().inv_cdf(0.5 + findings.coverage / 2) * table["std"].fillna(0.0) / np.sqrt(table["size"])
    table = table.assign(low=table["mean"] - reach, high=table["mean"] + reach)
    return table.sort_values(["phase", "trial"], ascending=[False, True]).reset_index(drop=True)
