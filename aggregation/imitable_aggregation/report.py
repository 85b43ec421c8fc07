"""report.html: one file without network or script that says in words and figures what was found and how sure."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from . import figures, printed, sentences
from .baselines import best_player
from .contrast_words import in_words, noun
from .findings import Findings
from .ranking import APART, EASY, LEARNABLE
from .sentences import per_cent, skill

__all__ = ["Findings", "render"]

SHOWN = 10
"""Rows of the table of the most and of the least imitable."""
REASONS = 12
"""Reasons of quarantine that are listed."""


@dataclass(frozen=True)
class _Shown:
    """What is drawn and printed as a table as well."""

    curve: pd.DataFrame
    """The learning curve with its bands."""
    sizes: pd.DataFrame
    """The crowd's skill by its size; maybe no rows."""
    singles: pd.DataFrame | None
    pooled: pd.DataFrame | None

    @property
    def said(self) -> bool:
        """Whether anything was said of held-out items."""
        return self.singles is not None or self.pooled is not None


def _shown(f: Findings) -> _Shown:
    def some(table: pd.DataFrame | None) -> pd.DataFrame | None:
        return table if table is not None and len(table) else None

    return _Shown(
        curve=figures.with_band(f.curve, f.coverage),
        sizes=pd.DataFrame() if f.crowd is None else f.crowd.curve,
        singles=some(f.guesses),
        pooled=some(None if f.crowd is None else f.crowd.items),
    )


def render(findings: Findings) -> str:
    """The report as HTML; the same findings give the same bytes."""
    f = findings
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["skill"] = skill
    environment.filters["name"] = _name
    shown = _shown(f)
    # our own SVG, whose texts were escaped when it was made
    drawn = {name: Markup(svg) for name, svg in _figures(f, shown).items()}  # noqa: S704
    odd = _odd(f.annotators)
    return environment.get_template(
        "report.html.j2"
    ).render(
        f=f,
        who="simulated players" if f.banner else "people",
        style=Markup(_source("style.css")),  # noqa: S704
        words={
            "findings": sentences.findings(f),
            "crowd": sentences.crowd(f),
            "groups": [] if f.groups is None else in_words(f.groups, f.coverage, noun=_kind(f.ranking)),
            "excluded": sentences.excluded(f),
            "sources": sentences.sources(f),
        },
        figure=drawn,
        table={
            "levels": printed.levels(f.levels),
            "learning": printed.learning(shown.curve),
            "crowd": printed.crowd(shown.sizes),
            "calibration": printed.calibration(shown.singles, shown.pooled, f.coverage),
            "groups": printed.groups(f.groups),
        },
        parts=_parts(f, drawn),
        top=_rows(f.ranking.head(SHOWN)),
        bottom=_rows(f.ranking.iloc[max(SHOWN, len(f.ranking) - SHOWN) :]),
        prefix=figures.common(f.ranking["target_id"].tolist()),
        apart=per_cent(APART),
        drawn_one_by_one=figures.DRAWN,
        named=len(f.ranking) <= figures.DRAWN,
        tied="tie_group" in f.ranking and f.ranking["tie_group"].nunique() > 1,
        few=len(f.ranking) <= figures.INTERVALS,
        many=len(f.ranking) > figures.MULTIPLES,
        reasons=_reasons(f.quarantine),
        odd=_rows(odd.head(SHOWN)),
        odd_more=max(0, len(odd) - SHOWN),
        easy=EASY,
        learnable=LEARNABLE,
        per_cent=per_cent(f.coverage),
    )


def _kind(ranking: pd.DataFrame) -> str:
    """What the targets are called."""
    return noun(ranking["kind"]) if "kind" in ranking else "targets"


def _name(name: str) -> Markup:
    """A name that may break after its slashes."""
    return Markup("/<wbr>").join(name.split("/"))


def _source(name: str) -> str:
    return files("imitable_aggregation.templates").joinpath(name).read_text(encoding="utf-8")


def _figures(f: Findings, shown: _Shown) -> dict[str, str]:
    """Every figure by its name; empty where there is nothing to draw."""
    ranking, people, coverage = f.ranking, f.annotators, f.coverage
    contrasts = f.groups is not None and bool((f.groups["estimand"] == "imitability").any())
    best = best_player(ranking)
    knots = sum(bool(np.isfinite(draws).any()) for draws in f.samples.values())
    return {
        "caterpillar": figures.caterpillar(ranking, coverage),
        "start": figures.start_and_end(ranking) if ranking["start"].notna().any() else "",
        "players": ""
        if best is None
        else figures.against_players(ranking, best, "simulated players" if f.banner else "people"),
        "levels": "" if f.levels is None else figures.levels(f.levels, coverage),
        "learning": figures.learning(shown.curve, coverage) if len(shown.curve) else "",
        "multiples": figures.multiples(ranking, f.target_ids, f.samples, f.knots, coverage) if knots > 1 else "",
        "crowd": figures.crowd_size(shown.sizes, coverage) if len(shown.sizes) > 1 else "",
        "calibration": figures.guess_and_truth(shown.singles, shown.pooled, coverage) if shown.said else "",
        "groups": figures.differences(f.groups, coverage) if f.groups is not None and contrasts else "",
        "people": figures.people(people, coverage) if people["skill"].notna().any() else "",
        "scale": figures.use_of_scale(people) if people[["bias", "scale"]].notna().all(axis=1).sum() > 1 else "",
        "shares": figures.shares(f.influence.share) if f.influence is not None and f.excluded else "",
        "sources": figures.sources(f.components) if f.components.get("knots") else "",
    }


def _parts(f: Findings, drawn: dict[str, Markup]) -> list[tuple[str, str]]:
    every = (
        ("imitability", "Imitability", True),
        ("start", "Easy, learnable or opaque", bool(drawn["start"])),
        ("players", "Beside automatic players", bool(drawn["players"])),
        ("levels", "Levels of information", f.levels is not None),
        ("learning", "Learning", True),
        ("crowd", "The crowd", bool(drawn["calibration"])),
        ("groups", "Groups", f.groups is not None),
        ("annotators", "Annotators", True),
        ("sources", "Where differences come from", bool(drawn["sources"])),
        ("notes", "What to know", True),
    )
    return [(key, name) for key, name, there in every if there]


def _odd(annotators: pd.DataFrame) -> pd.DataFrame:
    """Who is marked: those left out first, one of every kind before the second of any."""
    marked = annotators[annotators["evidence"].notna()].sort_values(
        ["n_guesses", "annotator_id"], ascending=[False, True]
    )
    kind = marked["bad_class"].fillna("")
    turn = marked.groupby([marked["excluded"], kind]).cumcount()
    order = marked.assign(turn=turn, kind=kind).sort_values(
        ["excluded", "turn", "kind"], ascending=[False, True, True], kind="stable"
    )
    return marked.loc[order.index]


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict(orient="records")]


def _reasons(quarantine: pd.DataFrame) -> list[tuple[str, int]]:
    """Why rows could not be used, most frequent first, what they held left out."""
    counted = quarantine["reason"].str.replace(r"'.*?'", "…", regex=True).value_counts()
    return sorted(((str(why), int(n)) for why, n in counted.items()), key=lambda pair: (-pair[1], pair[0]))[:REASONS]
