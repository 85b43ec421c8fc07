"""What Prolific says of submissions beside what we know of sittings: every difference is told, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from imitable.commands.collect import collect
from imitable.errors import PlatformError
from imitable.game.finishing import completion_code
from imitable.rehearsal.prolific import Fault, StandIn
from imitable.store import tables
from prolific_campaign import campaign_on, decide, rewritten, there, token

__all__ = ["there", "token"]


def test_work_that_is_as_it_should_be_is_no_finding(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(5)
        arrived = here.arrive(5)
        here.finish(arrived[0][1])
        here.finish(arrived[1][1], rounds=2, stop=True)
        there.give_back(arrived[1][1])
        here.play(arrived[2][1], rounds=1)
        there.start(arrived[3][1])
        there.give_back(arrived[3][1])
        assert here.found() == []
        assert here.collect().sittings == 3


def test_every_way_in_which_a_sitting_can_differ_has_a_name(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(10)
        finished, stopped = (completion_code(here.folder, stopped=one) for one in (False, True))
        arrived = dict(zip(KINDS, here.arrive(len(KINDS)), strict=True))
        for kind in ("returned", "timed-out", "unfinished"):
            here.play(arrived[kind][1], rounds=2)
        for kind in ("not handed in", "wrong code", "another wrong code", "rejected", "approved late"):
            here.play(arrived[kind][1])
        for kind in ("not returned", "approved"):
            here.finish(arrived[kind][1], rounds=2, stop=True)
        there.give_back(arrived["returned"][1])
        there.time_out(arrived["timed-out"][1])
        there.complete(arrived["unfinished"][1], finished)
        there.complete(arrived["wrong code"][1], stopped)
        there.complete(arrived["another wrong code"][1], "NOCODE")
        there.complete(arrived["rejected"][1], finished)
        there.complete(arrived["approved late"][1], finished)
        decide(there, arrived["rejected"][1], action="REJECT", message="x" * 100, rejection_category="OTHER")
        for kind in ("approved", "approved late"):
            decide(there, arrived[kind][1], action="APPROVE")
        expected = {here.pseudonym(person): KINDS[kind] for kind, (person, _) in arrived.items() if KINDS[kind]}
        before = here.rows(tables.sittings)
        assert {who: kind for kind, who in here.found()} == expected
        assert here.rows(tables.sittings) == before


KINDS = {
    "returned": "returned",
    "timed-out": "timed-out",
    "unfinished": "unfinished",
    "not handed in": "not handed in",
    "wrong code": "wrong code",
    "another wrong code": "wrong code",
    "rejected": "rejected",
    "approved late": "",
    "not returned": "not returned",
    "approved": "approved",
}
"""What is done to each participant, and what is found of it."""


def test_ids_that_were_made_up_taken_from_others_or_of_another_study_are_told(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(3)
        (_, theirs), (person, own) = here.arrive(2)
        study = here.study["id"]
        here.play({"PROLIFIC_PID": "nobody", "STUDY_ID": study, "SESSION_ID": "madeup"})
        here.play({"PROLIFIC_PID": person, "STUDY_ID": study, "SESSION_ID": theirs}, rounds=1)
        here.play({"PROLIFIC_PID": "somebody", "STUDY_ID": "another", "SESSION_ID": own}, rounds=1)
        assert dict(here.found()) == {
            "unknown": here.pseudonym("nobody"),
            "forged": here.pseudonym(person),
            "foreign": here.pseudonym("somebody"),
        }
        said = " ".join(one.sentence for one in here.collect().findings)
        assert person not in said
        assert "nobody" not in said


def test_codes_without_a_sitting_are_told_from_those_that_are_not_ours(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(3)
        arrived = here.arrive(2)
        for (_, submission), code in zip(
            arrived, (completion_code(here.folder, stopped=False), "GUESSED"), strict=True
        ):
            there.start(submission)
            there.complete(submission, code)
        findings = here.collect().findings
        assert [(one.kind, one.annotator_id) for one in findings] == [
            ("unplayed", here.pseudonym(person)) for person, _ in arrived
        ]
        assert "with a code of ours that it cannot have from here" in findings[0].sentence
        assert "with no code of ours" in findings[1].sentence


@pytest.mark.parametrize("size", [1, 7, 100])
def test_all_pages_are_read_whatever_their_size(there: StandIn, tmp_path: Path, size: int) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(30)
        there.set(largest_page=size)
        for _, submission in here.arrive(15):
            there.start(submission)
            there.complete(submission, "GUESSED")
        assert len(here.collect().findings) == 15
        there.fail(Fault("status", path="/submissions/$", status=503, times=2))
        assert len(here.collect().findings) == 15


def test_signed_addresses_prove_who_came_and_unsigned_ones_are_refused(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path, "secure = true") as here:
        here.publish(3)
        [(person, submission)] = here.arrive()
        query = dict(parse_qsl(urlsplit(there.start(submission)).query))
        here.finish(submission)
        [row] = here.rows(tables.sittings)
        assert row.proven is True
        assert here.found() == []
        with pytest.raises(Exception, match="signed"):
            here.play({name: value for name, value in query.items() if name != "prolific_token"})
        assert person in query["PROLIFIC_PID"]


def test_the_list_of_differences_holds_no_id_of_a_person(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(3)
        [(person, submission)] = here.arrive()
        here.play(submission)
        written = collect(here.folder.path).path.read_text(encoding="utf-8")
        assert here.pseudonym(person) in written
        assert person not in written


def test_without_a_study_it_says_how_to_make_one(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        with pytest.raises(PlatformError, match=r"There is no study of this campaign on Prolific\. Make it with: imit"):
            here.collect()
        here.folder = rewritten(here, "[platform.prolific]\n", '[platform.prolific]\nstudy_id = "nothing"\n')
        with pytest.raises(PlatformError, match=r"refused GET /studies/nothing/ \(404\)"):
            here.collect()
