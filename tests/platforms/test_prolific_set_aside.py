"""What is set aside for a study that was refused is free again; what may have recruited somebody stays aside."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from imitable.commands.accounts import forget, reconcile
from imitable.commands.close import close
from imitable.commands.closed import closed_on
from imitable.commands.pay import pay, show
from imitable.commands.publish import publish
from imitable.errors import MoneyError, NotOffered, PlatformError
from imitable.money.budget import set_aside, standing
from imitable.money.fairness import fairness, would_be
from imitable.money.ledger import statement
from imitable.platforms.prolific.client import Api
from imitable.rehearsal.prolific import TOKEN, Fault, StandIn
from imitable.store import money_tables, open_store
from imitable.testing import invented_campaign
from prolific_campaign import OnProlific, campaign_on, there, token

__all__ = ["there", "token"]

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def here(there: StandIn, tmp_path: Path) -> Iterator[OnProlific]:
    with campaign_on(there, tmp_path) as one:
        yield one


def offer(here: OnProlific, places: int) -> int:
    return publish(here.folder.path, platform="prolific", places=places).sittings


def aside(here: OnProlific) -> int:
    """Sittings that money is set aside for."""
    return sum(row.places for row in here.rows(money_tables.reservations))


CERTAIN = {
    "the token is refused": Fault("status", path="/workspaces/$", status=401),
    "the group is refused": Fault("status", path="/participant-groups/", method="POST", status=400),
    "the study is refused": Fault("status", path="/studies/$", method="POST", status=400),
    "the study is perhaps a draft": Fault("drop", path="/studies/$", method="POST", when="after"),
    "publishing is refused": Fault("status", path="/studies/.*/transition/", status=400),
    "publishing has to wait": Fault("throttle", path="/studies/.*/transition/", seconds=0.0),
}
IN_DOUBT = {
    "publishing was dropped": Fault("drop", path="/studies/.*/transition/"),
    "publishing failed": Fault("status", path="/studies/.*/transition/"),
}


@pytest.mark.parametrize("how", CERTAIN)
def test_where_nobody_can_have_come_the_money_is_free_again(here: OnProlific, how: str) -> None:
    struck = CERTAIN[how]
    if "/workspaces/" in struck.path:  # only the second time: the dry run before asks, too
        offer(here, 1)
        here.there.fail(struck)
        with pytest.raises(PlatformError, match="PROLIFIC_TOKEN"):
            offer(here, 3)
        assert aside(here) == 1
        return
    here.there.fail(struck)
    with pytest.raises(
        NotOffered, match=r"^Nobody was invited, and the \d+\.\d\d USD that were set aside for it are free"
    ):
        offer(here, 3)
    rows = here.rows(money_tables.reservations)
    assert [row.places for row in rows] == [3, -3]
    with here.store.read() as connection:
        assert standing(connection, here.folder).bound.minor == 0
    here.there.fail()
    assert offer(here, 3) == aside(here) == 3
    assert here.rows(money_tables.reservations)[:2] == rows, "rows are appended, never changed"


@pytest.mark.parametrize("how", IN_DOUBT)
def test_where_somebody_may_have_come_it_stays_aside_and_says_so(here: OnProlific, how: str) -> None:
    here.there.fail(IN_DOUBT[how])
    with pytest.raises(PlatformError, match=r"^Somebody may have been invited all the same, so \S+ USD stay set aside"):
        offer(here, 3)
    assert aside(here) == 3
    here.there.fail()
    assert offer(here, 3) == aside(here) == 3


def test_places_that_could_not_be_added_are_free_and_those_before_stay(here: OnProlific) -> None:
    offer(here, 3)
    here.there.fail(Fault("status", path="/studies/.+/$", method="PATCH", status=400))
    with pytest.raises(NotOffered):
        offer(here, 5)
    assert aside(here) == here.study["total_available_places"] == 3


def test_what_a_run_that_was_cut_short_set_aside_is_freed_by_the_next_that_is_refused(here: OnProlific) -> None:
    set_aside(here.store, here.folder, "prolific", 7, now=NOW)  # and then the process was killed
    here.there.fail(Fault("status", path="/studies/$", method="POST", status=400))
    with pytest.raises(NotOffered):
        offer(here, 7)
    assert aside(here) == 0


def command(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "imitable", *map(str, words)], stdout=subprocess.PIPE, text=True)


def test_while_one_publishes_nobody_else_does_on_whatever_platform(here: OnProlific) -> None:
    here.there.fail(Fault("slow", path="/studies/$", method="POST", seconds=4.0))
    first = command("publish", here.folder.path, "--platform", "prolific", "--links", 3)
    until = time.monotonic() + 60
    while not [one for one in here.there.journal() if one["path"].endswith("/studies/")]:
        assert time.monotonic() < until
        time.sleep(0.02)
    with pytest.raises(MoneyError, match=r"Another 'imitable publish' or 'imitable close' .* try again"):
        publish(here.folder.path, platform="web", places=2)
    with pytest.raises(MoneyError, match="Another"):
        close(here.folder.path)
    assert not (here.folder.path / "links.csv").exists()
    first.communicate()
    assert first.returncode == 0
    assert publish(here.folder.path, platform="web", places=2).sittings == 2


@pytest.mark.usefixtures("either_store")
def test_many_who_set_aside_at_once_on_two_platforms_keep_to_the_cap_together(tmp_path: Path) -> None:
    pay = '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\ncap = "40.00"\n[platform.prolific]\n'
    folder = invented_campaign(tmp_path / "campaign", more=pay)
    refused: list[str] = []

    def offer(platform: str, places: int) -> None:
        with closing(open_store(folder)) as store:
            try:
                set_aside(store, folder, platform, places, now=NOW)
            except MoneyError as error:
                refused.append(str(error))

    for platform in ("web", "prolific"):  # a first place on each, which nobody who asks for many can take away
        offer(platform, 1)
    asking = [threading.Thread(target=offer, args=(("web", "prolific")[n % 2], 2 + n // 2)) for n in range(12)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    with closing(open_store(folder)) as store, store.read() as connection:
        where = standing(connection, folder)
        rows = connection.execute(select(money_tables.reservations)).all()
    assert refused, "everything fitted: nothing was tried"
    assert all(re.search(r"more than the cap of 40\.00 USD\. Nothing was offered", one) for one in refused)
    assert 0 < where.bound.minor <= 4000
    assert len({row.platform for row in rows}) == 2


def test_a_raise_of_pay_that_no_longer_fits_is_refused_when_it_is_published_again(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "campaign", more='[pay]\nbase = "3.00"\ncap = "40.00"\n')
    publish(folder.path, places=10)
    config = folder.path / "campaign.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("3.00", "4.50"), encoding="utf-8")
    with pytest.raises(
        MoneyError, match=r"With \[pay\] as it stands now, the 10 sittings on web may cost 4\.50 USD each"
    ):
        publish(folder.path, places=10)
    config.write_text(config.read_text(encoding="utf-8").replace("4.50", "4.00"), encoding="utf-8")
    assert publish(folder.path, places=10).sittings == 10


def test_while_the_pilot_is_under_the_floor_neither_the_rest_nor_another_pilot_is_offered(
    there: StandIn, tmp_path: Path
) -> None:
    pay = '[pay]\nbase = "3.00"\nbonus_per_point = "0.05"\nfloor_per_hour = "21000000.00"\n'
    with campaign_on(there, tmp_path, pay=pay) as here:
        with pytest.raises(MoneyError, match=r"Nobody has played a sitting on prolific .* --pilot 5$"):
            offer(here, 9)
        would = publish(here.folder.path, platform="prolific", places=9, dry_run=True)
        assert any(note.startswith("Before this can be done: Nobody has played a sitting") for note in would.notes)
        publish(here.folder.path, platform="prolific", places=2, pilot=True)
        [(_, submission)] = here.arrive()
        here.finish(submission)
        for pilot in (False, True):
            with pytest.raises(MoneyError, match=r"In the pilot an hour earned .* say in writing why it is right"):
                publish(here.folder.path, platform="prolific", places=9, pilot=pilot)
        assert here.study["total_available_places"] == aside(here) == 2
        why = "the floor is absurd"
        assert publish(here.folder.path, platform="prolific", places=9, although=why).sittings == 9
        assert [row.why for row in here.rows(money_tables.decisions)] == [why]


def test_work_that_was_made_up_is_refused_and_binds_no_money(here: OnProlific) -> None:
    offer(here, 2)
    query = {"PROLIFIC_PID": "nobody", "STUDY_ID": here.study["id"], "SESSION_ID": "madeup"}
    here.play(query)
    with here.store.read() as connection:
        before = standing(connection, here.folder)
    part = show(here.folder.path).parts[0]
    assert part.total.minor >= 300
    assert pay(here.folder.path, platform=None, confirm=lambda part: part.total.decimal)[1].failed >= 1
    with here.store.read() as connection:
        after = standing(connection, here.folder)
        assert fairness(connection, here.folder) is None, "what is paid to nobody is fair to nobody"
    assert (before.owed.minor, after.owed.minor) == (0, 0)
    assert after.bound == before.bound
    assert reconcile(here.folder.path)["prolific"].differences == []


def test_paying_after_closing_leaves_what_is_aside_for_those_who_may_still_go_on(
    there: StandIn, tmp_path: Path
) -> None:
    with campaign_on(there, tmp_path, pay='[pay]\nbase = "3.00"\ncap = "72.00"\n') as here:
        offer(here, 10)
        arrived = here.arrive(4)
        for _, submission in arrived[:2]:
            here.finish(submission)
        for _, submission in arrived[2:]:
            here.play(submission, rounds=1)
            there.give_back(submission)
        assert "25.68 USD that were set aside for it are free" in close(here.folder.path)["prolific"]
        pay(here.folder.path, platform=None, confirm=lambda part: part.total.decimal)
        with here.store.read() as connection:
            where = standing(connection, here.folder)
        assert (where.owed.minor, where.aside.minor) == (0, 2 * 428)


def test_a_stopped_study_that_does_not_open_again_keeps_nothing_more_aside(here: OnProlific) -> None:
    offer(here, 10)
    for _, submission in here.arrive(2):
        here.finish(submission)
    close(here.folder.path)
    assert aside(here) == 2
    with pytest.raises(NotOffered, match="opens it again only with more places"):
        offer(here, 10)
    with here.store.read() as connection:
        assert set(closed_on(connection)) == {"prolific"}, "nothing was opened"
    here.there.fail(Fault("status", path="/studies/.+/$", method="PATCH", status=400))
    with pytest.raises(NotOffered, match="Nobody was invited"):
        offer(here, 15)
    assert aside(here) == 2
    here.there.fail()
    assert offer(here, 12) == aside(here) == 12


def test_places_that_somebody_added_on_prolific_stay_aside_when_more_are_refused(here: OnProlific) -> None:
    offer(here, 5)
    api = Api(here.there.address, TOKEN)
    api.patch(f"/studies/{here.study['id']}/", {"total_available_places": 10})
    api.close()
    here.there.fail(Fault("status", path="/studies/.+/$", method="PATCH", status=400))
    with pytest.raises(NotOffered):
        offer(here, 15)
    assert aside(here) == 10


def test_work_that_was_made_up_counts_in_no_figure_of_what_an_hour_earns(here: OnProlific) -> None:
    offer(here, 3)
    for _, submission in here.arrive(2):
        here.finish(submission)
    here.play({"PROLIFIC_PID": "nobody", "STUDY_ID": here.study["id"], "SESSION_ID": "madeup"})
    with here.store.read() as connection:
        undecided = would_be(connection, here.folder, "prolific")
    assert undecided is not None
    assert undecided.sittings == 3, "what nobody wrote down yet counts, and whose it is was not asked yet"
    here.there.set(bonus_delay=0.0)
    pay(here.folder.path, platform=None, confirm=lambda part: part.total.decimal)
    with here.store.read() as connection:
        lines = statement(connection)
        fair, would = fairness(connection, here.folder), would_be(connection, here.folder, "prolific")
    [made_up] = {line.sitting_id for line in lines if line.made_up}
    assert [line.stand for line in lines if line.sitting_id == made_up and line.kind == "bonus"] == ["nothing"]
    assert fair is not None
    assert would is not None
    assert (fair.sittings, would.sittings) == (2, 2)
    assert (fair.under, would.under) == (0.0, 0.0)


def test_who_was_forgotten_is_no_difference_between_books(here: OnProlific) -> None:
    offer(here, 3)
    (person, submission), (_, other) = here.arrive(2)
    for one in (submission, other):
        here.finish(one)
    here.there.set(bonus_delay=0.0)
    pay(here.folder.path, platform=None, confirm=lambda part: part.total.decimal)
    assert reconcile(here.folder.path)["prolific"].differences == []
    who = here.pseudonym(person)
    forget(here.folder.path, who)
    books = reconcile(here.folder.path)["prolific"]
    assert books.differences == []
    assert books.forgotten >= 1
    assert here.found() == []
    done = command("reconcile", here.folder.path)
    assert "of people who were forgotten" in " ".join(done.communicate()[0].split())
    assert done.returncode == 0


def test_closing_frees_what_nobody_can_fill_any_more_and_nothing_while_somebody_plays(
    there: StandIn, tmp_path: Path
) -> None:
    with campaign_on(there, tmp_path, pay='[pay]\nbase = "3.00"\ncap = "72.00"\n') as here:
        offer(here, 10)
        (_, first), (_, second), (_, third) = here.arrive(3)
        here.finish(first)
        here.play(second, rounds=1)
        with pytest.raises(MoneyError, match="more than the cap"):
            publish(here.folder.path, platform="web", places=10)
        assert "are free" not in close(here.folder.path)["prolific"]
        assert aside(here) == 10
        there.give_back(second)
        there.time_out(third)
        assert "are free" in close(here.folder.path)["prolific"]
        with here.store.read() as connection:
            where = standing(connection, here.folder)
        assert where.owed.minor == 428
        assert where.aside.minor == 2 * 428, "who returned it may still go on here, for the record; one is not paid yet"
        assert publish(here.folder.path, platform="web", places=5).sittings == 5
        with pytest.raises(MoneyError, match="more than the cap"):
            offer(here, 16)
        assert offer(here, 12) == 12
        assert aside(here) == 12 + 5
