"""MTurk-style HITs, made by real boto3 on a stand-in: publish, grow, close, reopen, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imitable.campaign import Folder, open_folder
from imitable.errors import MissingExtra, NotOffered, PlatformError
from imitable.money.by_hand import ByHand
from imitable.money.fees import FEW
from imitable.platforms import Platform
from imitable.platforms.mturk import MTurk
from imitable.platforms.mturk.hits import grown
from imitable.platforms.mturk.questions import external_question, fields_of, url_of
from imitable.rehearsal.mturk import Fault, StandIn, standing_in
from imitable.store import Store, open_store
from imitable.testing import PlatformContract, invented_campaign
from mturk_campaign import campaign_on, credentials, settings, there
from platform_campaign import PAY, PUBLIC

__all__ = ["credentials", "there"]


class TestMTurkKeepsTheContract(PlatformContract):
    @pytest.fixture(autouse=True)
    def on_a_stand_in(self, credentials: None) -> Iterator[None]:
        with standing_in() as self.there:
            yield

    def platform(self) -> Platform:
        return MTurk()

    def campaign(self, path: Path) -> tuple[Folder, Store]:
        folder = invented_campaign(path, more=settings(self.there) + PAY)
        return folder, open_store(folder)


SIZES = st.dictionaries(st.integers(1, 6), st.integers(1, 40), max_size=5)


@given(SIZES, st.integers(1, 100), st.integers(1, 40))
def test_hits_grow_to_the_places_and_none_crosses_from_nine_to_ten(
    sizes: dict[int, int], places: int, per_hit: int
) -> None:
    after, more = dict(sizes), 0
    for step in grown(sizes, places, per_hit):
        before = after.get(step.number, 0)
        assert step.more == step.size - before > 0
        assert step.size <= max(per_hit, before)
        assert not 0 < before <= FEW < step.size
        after[step.number] = step.size
        more += step.more
    assert sum(after.values()) == max(places, sum(sizes.values()))
    assert grown(after, places, per_hit) == []


def test_hits_say_what_the_campaign_says(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path / "first", key=bytes(range(1, 33))) as first:
        first.publish(1)
        earlier = first.hits[0]["QualificationRequirements"][0]["QualificationTypeId"]
    more = (
        f'title = "Guess & <see>"\nkeywords = ["text", "game"]\nplaces = 12\nnot_again = ["{earlier}"]\n'
        '[[platform.mturk.qualifications]]\ntype = "approved_percent"\ncomparator = "GreaterThanOrEqualTo"\n'
        'values = [95]\n[[platform.mturk.qualifications]]\ntype = "country"\ncomparator = "In"\n'
        'countries = ["US-NY", "DE"]\n'
    )
    with campaign_on(there, tmp_path / "second", more) as here:
        done = here.publish(None)
        assert here.sizes() == [1, 9, 3]
        for hit in here.hits[1:]:
            assert (hit["Title"], hit["Reward"], hit["Keywords"]) == ("Guess & <see>", "3.00", "text, game")
            assert "language model" in hit["Description"]
            assert "USD 3.00 for taking part. Plus a bonus" in hit["Description"]
            assert url_of(hit["Question"]) == f"{PUBLIC}/mturk"
            own, other, approved, country = hit["QualificationRequirements"]
            assert own["Comparator"] == other["Comparator"] == "DoesNotExist"
            assert own["ActionsGuarded"] == "DiscoverPreviewAndAccept"
            assert other["QualificationTypeId"] == earlier
            assert (approved["QualificationTypeId"], approved["IntegerValues"]) == ("000000000000000000L0", [95])
            assert country["LocaleValues"] == [{"Country": "US", "Subdivision": "NY"}, {"Country": "DE"}]
        assert done.sittings == 12
        assert "2 HITs for 12 workers" in done.what
        assert there.address in done.what
        assert any("is a stand-in: no real people, no real money" in note for note in done.notes)
        assert any("12 places cost 43.20 USD" in note for note in done.notes)
        assert any("Nobody answers" in note for note in done.notes)


def test_a_dry_run_makes_nothing_and_needs_no_account(
    there: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(10, dry_run=True)
        assert here.hits == []
        assert {one["path"] for one in there.journal()} == {"ListHITs", "ListQualificationTypes", "GetAccountBalance"}
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        said = here.publish(10, dry_run=True)
        assert (said.sittings, "boto3 finds no credentials" in said.notes[0]) == (10, True)
        with pytest.raises(PlatformError, match=r"There are no credentials .* AWS_PROFILE: boto3 reads them"):
            here.publish(10)


def test_where_nobody_answers_a_dry_run_says_so_and_publishing_is_refused(credentials: None, tmp_path: Path) -> None:
    with standing_in() as gone, campaign_on(gone, tmp_path) as here:
        pass
    folder = open_folder(tmp_path)
    said = here.platform.publish(folder, here.store, places=3, dry_run=True)
    assert "cannot be reached" in said.notes[0]
    with pytest.raises(NotOffered, match=r"cannot be reached .* Check the network, and \[platform\.mturk\]"):
        here.platform.publish(folder, here.store, places=3, dry_run=False)


def test_places_grow_by_additional_assignments_and_new_hits_and_never_shrink(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        assert (here.publish(3).sittings, here.sizes()) == (3, [3])
        assert (here.publish(20).sittings, here.sizes()) == (20, [9, 9, 2])
        assert (here.publish(5).sittings, here.sizes()) == (20, [9, 9, 2])
    with campaign_on(there, tmp_path / "large", "per_hit = 50", key=bytes(range(1, 33))) as large:
        large.publish(3)
        large.publish(70)
        assert large.sizes()[3:] == [9, 50, 11], "a HIT for nine or fewer cannot grow to ten"


LOST: list[tuple[str, Fault]] = [
    (f"{operation} {how} {when}", Fault(how, path=f"^{operation}$", when=when, times=1))
    for operation in (
        "CreateQualificationType",
        "CreateHITType",
        "CreateHITWithHITType",
        "CreateAdditionalAssignmentsForHIT",
    )
    for how in ("drop", "status", "throttle")
    for when in ("before", "after")
    if how != "throttle" or (operation, when) == ("CreateHITWithHITType", "before")
]


@pytest.mark.parametrize("fault", [fault for _, fault in LOST], ids=[name for name, _ in LOST])
def test_whatever_is_lost_on_the_way_the_same_command_again_makes_each_thing_once(
    there: StandIn, tmp_path: Path, fault: Fault
) -> None:
    with campaign_on(there, tmp_path) as here:
        there.set(listing_lag=0.0)
        here.publish(2)
        there.fail(fault)
        with suppress(PlatformError):
            here.publish(12)
        there.fail()
        done = here.publish(12)
        assert here.sizes() == [9, 3]
        assert here.publish(12) == done


def test_a_hit_that_is_not_listed_yet_is_known_by_its_operation_id(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        there.set(listing_lag=600.0)
        there.fail(Fault("drop", path="CreateHITWithHITType", when="after", times=1))
        with pytest.raises(PlatformError, match=r"It may have done it\. The same command again looks first"):
            here.publish(3)
        with suppress(PlatformError):
            here.publish(3)
        there.move(seconds=700)
        here.publish(3)
        assert here.sizes() == [3]


def test_who_took_part_is_given_the_qualification_once_and_is_written_no_e_mail(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(2)
        worker, _ = here.finish()
        stopper, _ = here.finish(rounds=1, stop=True)
        here.publish(12)
        with pytest.raises(PlatformError, match="qualifications"):
            there.accept(worker, here.hits[1]["HITId"])
        before = sum(one["path"] == "AssociateQualificationWithWorker" for one in there.journal())
        here.collect()
        granted = [one for one in there.journal() if one["path"] == "AssociateQualificationWithWorker"]
        assert (before, len(granted)) == (2, 2)
        values = {re.findall(r'"IntegerValue": ?(\d+)', one["body"])[0] for one in granted}
        assert values == {"100", "10"}
        assert all('"SendNotification": false' in one["body"] for one in granted)
        assert not [one for one in there.emails() if one["to"] in (worker, stopper)]


def test_what_is_closed_twice_in_one_second_is_closed(
    there: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = there.now() + timedelta(seconds=30)
    monkeypatch.setattr("imitable.platforms.mturk.client.Api.now", lambda _: now)
    with campaign_on(there, tmp_path) as here:
        for _ in range(2):
            here.publish(3)
            here.accept()
            here.close()
        with pytest.raises(PlatformError, match="no place"):
            here.accept()


def test_closing_keeps_out_who_is_new_and_lets_those_hand_in_who_have_accepted(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(3)
        _worker, assignment, query = here.accept()
        here.play(query, rounds=1)
        assert here.close() == "1 HIT closed: nobody new comes, and who has accepted may hand in."
        assert here.close() == "1 HIT closed: nobody new comes, and who has accepted may hand in."
        with pytest.raises(PlatformError, match="no place"):
            here.accept()
        there.move(seconds=2)
        assert "1 sittings that were being played are over, and are paid in full" in here.close(now=True)
        there.submit(assignment, {"receipt": "x"})
        there.move(seconds=2)
        here.publish(3)
        here.accept()
        here.close()  # maybe in the same second as the first time
        with pytest.raises(PlatformError, match="no place"):
            here.accept()


def test_a_hit_whose_days_are_over_is_offered_again(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path, "open_days = 2") as here:
        here.publish(3)
        there.move(hours=49)
        with pytest.raises(PlatformError, match="no place"):
            here.accept()
        here.publish(3)
        here.accept()
        assert len(here.hits) == 1


def test_a_preview_is_framed_without_worker_or_assignment(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(1)
        url = there.preview(there.workers(1)[0], here.hits[0]["HITId"])
        assert url.startswith(f"{PUBLIC}/mturk?")
        assert "assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE" in url


WRONG = [
    (f'title = "{"x" * 129}"', r"\[platform\.mturk\] title comes to 129 characters, and 128 are the most"),
    ("approve_after_days = 31", r"approve_after_days comes to 2678400 seconds, and 2592000 are the most"),
    ("open_days = 366", r"open_days comes to 31622400 seconds"),
    (
        '[[platform.mturk.qualifications]]\ntype = "adult"\nguards = "All"',
        r"guards is 'All', which is not one of Accept",
    ),
    (
        '[[platform.mturk.qualifications]]\ntype = "adult"\ncomparator = "Bigger"\nvalues = [1]',
        r"comparator is 'Bigger', which is not one of LessThan",
    ),
    (
        '[[platform.mturk.qualifications]]\ntype = "country"\ncomparator = "In"\ncountries = ["USA"]',
        r"countries comes to 3 characters, and 2 are the most",
    ),
]


@pytest.mark.parametrize(("more", "said"), WRONG)
def test_what_botocore_lets_pass_is_refused_by_the_field_of_campaign_toml(
    there: StandIn, tmp_path: Path, more: str, said: str
) -> None:
    with campaign_on(there, tmp_path, more) as here:
        with pytest.raises(PlatformError, match=said):
            here.publish(3)
        assert here.hits == []


AMAZON: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ("", {"AWS_REGION": "sandbox", "AWS_DEFAULT_REGION": "sandbox"}),
    ("", {"AWS_ENDPOINT_URL_MTURK": "https://mturk-requester-sandbox.us-east-1.amazonaws.com"}),
    ("https://mturk-requester.us-east-1.amazonaws.com", {}),
    ("https://MTURK.us-west-2.AMAZONAWS.com./x", {}),
    ("https://127.0.0.1@mturk-requester.us-east-1.amazonaws.com", {}),
]


@pytest.mark.parametrize(("url", "env"), AMAZON)
def test_amazons_own_endpoints_are_refused_with_the_date(
    credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, env: dict[str, str]
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    table = f'[platform.mturk]\nendpoint_url = "{url}"\n' if url else "[platform.mturk]\n"
    folder = invented_campaign(tmp_path, more=f'[serve]\npublic_url = "{PUBLIC}"\n{table}{PAY}')
    store: Any = None
    said = r"closed for good on 2026-09-30: .*amazonaws\.com pays and reaches nobody .* --platform prolific"
    for dry_run in (True, False):
        with pytest.raises(PlatformError, match=said):
            MTurk().publish(folder, store, places=3, dry_run=dry_run)
    if url:
        with pytest.raises(PlatformError, match=said):
            MTurk().payer(folder)
    else:
        assert isinstance(MTurk().payer(folder), ByHand), "what was uploaded by hand is paid by hand"


def test_an_endpoint_of_boto3s_own_settings_is_used(
    there: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_MTURK", there.address)
    folder = invented_campaign(tmp_path, more=f'[serve]\npublic_url = "{PUBLIC}"\n[platform.mturk]\n{PAY}')
    store = open_store(folder)
    done = MTurk().publish(folder, store, places=1, dry_run=False)
    assert there.address in done.what
    assert any("worker_sites names one" in note for note in done.notes)
    store.close()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (PAY, r"has no table \[platform\.mturk\]\. Add it, with endpoint_url .* closed on 2026-09-30"),
        (f'[platform.mturk]\nendpoint_url = "http://far.example"\n{PAY}', r"could be read .* to an https:// address"),
        (f'[platform.mturk]\nendpoint_url = "https://far.example"\n{PAY}', r"Set \[serve\] public_url"),
        (
            f'[serve]\npublic_url = "http://x.example"\n[platform.mturk]\nendpoint_url = "https://far.example"\n{PAY}',
            r"only pages of https:// in its frames",
        ),
        (
            f'[serve]\npublic_url = "{PUBLIC}"\n[platform.mturk]\nendpoint_url = "http://127.0.0.1:5"\n[pay]\n'
            'currency = "EUR"\nbase = "3.00"\n',
            r"pay in USD, and \[pay\] currency is EUR",
        ),
        (
            f'[serve]\npublic_url = "{PUBLIC}"\n[platform.mturk]\nendpoint_url = "http://127.0.0.1:5"\n',
            r"must have a reward",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(
    credentials: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, said: str
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    folder = invented_campaign(tmp_path, more=more)
    store: Any = None
    with pytest.raises(PlatformError, match=said):
        MTurk().publish(folder, store, places=3, dry_run=True)


def test_a_campaign_that_was_changed_since_is_refused(there: StandIn, tmp_path: Path) -> None:
    with campaign_on(there, tmp_path) as here:
        here.publish(3)
        path = here.folder.path / "campaign.toml"
        path.write_text(path.read_text(encoding="utf-8").replace('base = "3.00"', 'base = "4.00"'), encoding="utf-8")
        here.folder = open_folder(here.folder.path)
        with pytest.raises(NotOffered, match=r"its reward is 3\.00, and by campaign\.toml 4\.00\. Undo that") as error:
            here.publish(5)
        assert error.value.offered == 3


def test_credentials_that_are_not_taken_are_said_so(
    there: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    said = r"does not accept the credentials for ListHITs .* AWS_PROFILE"
    with campaign_on(there, tmp_path) as here, pytest.raises(PlatformError, match=said):
        here.publish(3)


def test_without_boto3_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "imitable.platforms.mturk.client", raising=False)
    monkeypatch.delattr("imitable.platforms.mturk.client", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)
    folder = invented_campaign(tmp_path, more=f'[platform.mturk]\nendpoint_url = "http://127.0.0.1:5"\n{PAY}')
    store: Any = None
    with pytest.raises(MissingExtra, match=r"pip install 'imitable\[aws\]'"):
        MTurk().publish(folder, store, places=3, dry_run=True)


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>'
OUTSIDE = '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x/>'
ANSWER = (
    '<QuestionFormAnswers xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2005-10-01/'
    'QuestionFormAnswers.xsd">{}</QuestionFormAnswers>'
)


@pytest.mark.parametrize("answer", [None, "", "no xml", BOMB, OUTSIDE, "<x/>", "<" * 200_000, "\0"])
def test_answers_that_are_none_are_read_as_none(answer: str | None) -> None:
    assert fields_of(answer) is None


def test_answers_are_read_by_name_and_the_first_counts() -> None:
    one = "<Answer><QuestionIdentifier>{}</QuestionIdentifier><FreeText>{}</FreeText></Answer>"
    text = ANSWER.format(one.format("a", "1 &lt; 2") + one.format("a", "9") + one.format("b", ""))
    assert fields_of(text) == {"a": "1 < 2", "b": ""}
    assert url_of(external_question("https://a.example/x?y=1&z=<", height=0)) == "https://a.example/x?y=1&z=<"
