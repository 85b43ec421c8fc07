"""The report: one file, the same bytes every time, words that claim no more than the numbers, and poor data shown."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import pandas as pd
import pytest

from imitable_aggregation import sentences
from imitable_aggregation.conduct import Influence
from imitable_aggregation.findings import Findings
from imitable_aggregation.report import render

from .reporting import all_tied, bare, contrasts, found, nobody_odd, without_held_out, without_start

BANNER = "simulated players: nothing here is about people"


def words(page: str) -> str:
    """What is read in the body, as one line."""
    body = re.sub(r"<svg.*?</svg>", " ", page[page.index("<main>") :], flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).replace("\N{NO-BREAK SPACE}", " ").split())


@pytest.fixture(scope="module")
def page() -> str:
    return render(found())


def test_the_same_findings_give_the_same_bytes(page: str) -> None:
    assert page == render(found())


def test_the_report_is_one_file_that_asks_nobody_for_anything(page: str) -> None:
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["'](?!#)|url\((?!#)|@import""", page)
    assert not re.findall(r"""https?://(?!www\.w3\.org/)""", page)
    assert page.startswith("<!doctype html>")
    assert len(page) < 500_000


def test_every_figure_can_be_read_aloud(page: str) -> None:
    figures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(figures) == 12
    for figure in figures:
        root = ElementTree.fromstring(figure)  # noqa: S314
        named = root.attrib["aria-labelledby"].split()
        assert root.attrib["role"] == "img"
        told = {child.attrib["id"]: child.text for child in root if "id" in child.attrib and child.text}
        assert all(told[name].strip() for name in named)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_colours_come_from_the_page_in_light_and_dark(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert not re.search(r"#01020\d", page)
    assert "var(--accent)" in page


def test_the_first_paragraph_says_what_was_found_and_how_sure_it_is() -> None:
    told = " ".join(sentences.findings(found(gap=0.02))).replace("\N{NO-BREAK SPACE}", " ")
    assert told.startswith("20 annotators made 2,000 guesses in 100 episodes on 12 targets; 1 who does not seem")
    assert "On every target annotators beat the best constant guess (90 % intervals)." in told
    assert "toy/mlp.0/0, the most imitable, reaches a held-out skill of 0.70 (0.57 to 0.83), where 1 is exact." in told
    assert "read it as groups, not as a list" in told
    assert "3 groups of targets can be told apart; the top one holds 4." in told
    assert re.search(r"agree with the true one at a Kendall’s tau of 0\.\d\d\.", told)
    assert "3 guesses on an item reach a skill of 0.35 (0.10 to 0.40); the plain mean of as many" in told


def test_a_clear_order_is_not_called_groups() -> None:
    told = " ".join(sentences.findings(found(gap=0.3))).replace("\N{NO-BREAK SPACE}", " ")
    assert "read it as groups" not in told
    assert (
        "On 2 targets annotators beat the best constant guess, on 9 they do worse, on 1 the data leave it open (90"
        in told
    )


def test_groups_are_told_in_the_language_of_intervals(page: str) -> None:
    told = words(page)
    assert (
        "The 6 targets of gpt2 were more imitable than the 6 of pythia by 0.20 (0.15 to 0.25; 90 % interval); for new"
        " targets like these 0.10 to 0.30." in told
    )
    assert "Whether the 6 targets of gpt2 were more imitable than the 6 of opt is open: a difference of 0.01" in told
    assert "The 6 targets of pythia were more imitable than the 6 of opt by 0.30" in told


def test_groups_are_called_by_the_kind_of_their_targets() -> None:
    base = found()
    heads = base.ranking.assign(kind="head")
    assert "The 6 heads of gpt2 were more imitable" in words(render(replace(base, ranking=heads)))


def test_who_is_left_out_is_said_with_what_that_does(page: str) -> None:
    told = words(page)
    assert "1 annotator (5 % of all guesses) was left out of the fit: 1 constant." in told
    assert "the rankings with and without them agree at a Kendall’s tau of 0.90" in told
    assert "Of a target’s episodes 10 % are left out on average, at most 10 %" in told
    assert "a_0 (skill" in told
    assert "left out): answers hardly vary" in told
    assert "imitable rank --keep-bad ranks with everybody" in told


def test_variance_components_and_assignment_are_put_into_words(page: str) -> None:
    told = words(page)
    assert "targets differ in skill with a standard deviation of 0.24" in told
    assert "More skilled annotators met harder targets; the ranking allows for that." in told


def test_notes_and_quarantine_stand_at_the_end(page: str) -> None:
    told = words(page)
    assert told.endswith(
        "l_ref was estimated. 2 rows could not be used; each is in quarantine.csv with its line: 2 × guess … is outside"
    )


def test_programs_are_named_in_title_and_first_line() -> None:
    page = render(replace(found(), banner=BANNER))
    assert "<title>Simulated players: nothing here is about people" in page
    assert words(page).startswith("Simulated players: nothing here is about people.")
    assert "Which targets simulated players can imitate" in page
    assert "people can imitate" not in page


def test_what_people_wrote_is_escaped() -> None:
    wrote = "</text><script>alert(1)</script>$\\frac$字"
    base = found()
    ids = [f"{name}{wrote}" for name in base.target_ids]
    groups = contrasts().assign(level_a=wrote)
    people = base.annotators.assign(evidence=wrote, annotator_id=lambda frame: frame["annotator_id"] + wrote)
    page = render(
        replace(
            base,
            ranking=base.ranking.assign(target_id=ids),
            target_ids=ids,
            annotators=people,
            groups=groups,
            notes=[wrote],
            influence=Influence(0.9, pd.Series(0.1, index=pd.Index(ids))),
        )
    )
    assert "<script" not in page
    for figure in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        ElementTree.fromstring(figure)  # noqa: S314


@pytest.mark.parametrize(
    "findings",
    [
        found(targets=1, annotators=1),
        found(targets=1, annotators=3),
        found(targets=2, annotators=2),
        bare(found()),
        without_start(found()),
        without_held_out(found()),
        without_held_out(without_start(found(targets=1, annotators=1))),
        all_tied(found()),
        nobody_odd(found()),
        replace(found(), quarantine=pd.DataFrame({"reason": pd.Series(dtype="str")})),
        replace(found(), ranking=found().ranking.drop(columns="tie_group")),
        replace(found(), groups=contrasts().iloc[:0]),
        replace(found(), groups=contrasts().assign(estimand="gain")),
        found(targets=61, annotators=61),
        found(targets=450, annotators=450, gap=0.003),
    ],
    ids=lambda f: "",
)
def test_poor_and_large_findings_are_shown_too(findings: Findings) -> None:
    page = render(findings)
    told = words(page)
    assert "nan" not in told.split()
    for figure in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        assert "nan" not in figure
        ElementTree.fromstring(figure)  # noqa: S314


def test_one_target_is_described_and_not_ranked() -> None:
    told = words(render(found(targets=1)))
    assert "Annotators beat the best constant guess (90 % interval)." in told
    assert "How sure is the order" not in told


def test_targets_that_are_all_alike_are_said_to_be_one_group() -> None:
    assert "No target can be told apart from the first: by these data they are one group." in words(
        render(all_tied(found()))
    )


def test_sections_that_have_nothing_to_show_are_not_there() -> None:
    told = words(render(bare(without_start(found()))))
    for name in ("Easy, learnable or opaque", "The crowd", "Groups", "Where differences come from"):
        assert name not in told


@pytest.mark.parametrize(
    ("share", "said"), [(0.0, "0 %"), (0.001, "under 1 %"), (0.9, "90 %"), (0.006, "1 %"), (1.0, "100 %")]
)
def test_a_small_share_is_not_printed_as_none(share: float, said: str) -> None:
    assert sentences.per_cent(share).replace("\N{NO-BREAK SPACE}", " ") == said


@pytest.mark.parametrize(("value", "said"), [(-0.5, "−0.50"), (-0.001, "0.00"), (float("nan"), "–"), (1.0, "1.00")])
def test_a_skill_is_printed_with_a_true_minus_and_no_minus_nought(value: float, said: str) -> None:
    assert sentences.skill(value) == said


def test_the_end_of_a_long_name_stands_above_its_curve() -> None:
    f = found(targets=4)
    long = [f"EleutherAI/pythia-{at}70m@main/head.4.norm/11{at}" for at in range(4)]
    page = render(replace(f, ranking=f.ranking.assign(target_id=long), target_ids=long))
    assert all(f"{at + 1}. …70m@main/head.4.norm/11{at}" in unescape(page) for at in range(4))


def test_variances_between_few_are_told_as_assumptions() -> None:
    said = "With 2 targets, these numbers are mostly what was assumed beforehand, not a finding."
    assert said in words(render(found(targets=2)))
    assert "With 1 target and 2 annotators, these" in words(render(found(targets=1, annotators=3)))
    assert "assumed beforehand" not in words(render(found()))


def test_a_narrow_figure_is_not_blown_up() -> None:
    page = render(found(targets=1))
    widths = {float(width) for width in re.findall(r'style="--least: (\d+)px; max-width: \1px"', page)}
    assert min(widths) < 300
    assert "min-width: min(30rem, var(--least" in page
