"""Publishing on a real Label Studio: what is made, for whom, and that it is made once whatever happens."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import faulty_proxy
import pytest
from faulty_proxy import Fault, FaultyProxy
from label_studio_campaign import ROUNDS, OnLabelStudio, any_door, people, with_key
from typer.testing import CliRunner

from imitable.campaign import Folder
from imitable.cli.app import app
from imitable.commands.accounts import forget
from imitable.commands.build import build
from imitable.commands.new import new
from imitable.commands.publish import publish
from imitable.commands.status import status
from imitable.errors import NotOffered, PlatformError
from imitable.game.label_studio import names
from imitable.platforms import Platform
from imitable.platforms.label_studio import LabelStudio, project, sending, wire
from imitable.platforms.label_studio.accounts import everybody_but
from imitable.platforms.label_studio.files import write_files
from imitable.platforms.label_studio.project import check_config
from imitable.platforms.label_studio.refusals import KEY
from imitable.store import Store, open_store, tables
from imitable.testing import PlatformContract, invented_campaign
from label_studio_server import LabelStudio as Real

pytestmark = pytest.mark.xdist_group("label-studio")

Make = Callable[..., OnLabelStudio]


@pytest.fixture
def door() -> Iterator[str]:
    with any_door() as address:
        yield address


@pytest.fixture
def make(label_studio: Real, door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a campaign for new annotators of the real server."""
    with_key(monkeypatch, label_studio)
    return lambda **options: OnLabelStudio(tmp_path / "campaign", label_studio, door, **options)


@pytest.fixture
def proxy(label_studio: Real) -> Iterator[FaultyProxy]:
    with faulty_proxy.before(label_studio.url) as one:
        yield one


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience that tests have."""
    monkeypatch.setattr(wire, "WAITS", (0.05, 0.1))
    monkeypatch.setattr(sending, "STILL", 1.0)


class TestLabelStudioKeepsTheContract(PlatformContract):
    @pytest.fixture(autouse=True)
    def _server(self, label_studio: Real, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with_key(monkeypatch, label_studio)
        self.real, self.door = label_studio, door

    def platform(self) -> Platform:
        return LabelStudio()

    def campaign(self, path: Path) -> tuple[Folder, Store]:
        folder = OnLabelStudio(path, self.real, self.door, annotators=3, targets=3).folder
        return folder, open_store(folder)


def test_a_task_is_made_for_each_episode_with_a_tab_and_drafts_for_its_annotator(make: Make) -> None:
    campaign = make(annotators=2)
    done = campaign.publish()
    assert "4 episodes for 2 annotators" in done.what
    assert campaign.everything_is_there_once()
    for row in campaign.there():
        assert row["data"][names.ANNOTATOR] in {person.email for person in campaign.people}
        assert {names.text(trial) for trial in range(1, ROUNDS + 1)} <= set(row["data"])
    [path] = done.files
    assert path.stat().st_mode & 0o077 == 0
    with path.open(encoding="utf-8", newline="") as file:
        addresses = {row["email"]: row["url"] for row in csv.DictReader(file)}
    for person in campaign.people:
        client = campaign.real.client(person)
        tab = addresses[person.email].partition("tab=")[2].partition("&")[0]
        listed = client.get("/api/tasks/", params={"view": tab, "fields": "all"}).json()["tasks"]
        assert [row["id"] for row in listed] == [int(campaign.of(person, place).external_id) for place in (0, 1)]
        assert [draft["user"] for row in listed for draft in row["drafts"]] == [person.email] * 2


def test_the_project_asks_our_backend_when_something_is_typed_and_at_no_other_time(make: Make, door: str) -> None:
    campaign = make()
    campaign.publish()
    admin = campaign.real.client()
    [backend] = admin.get("/api/ml", params={"project": campaign.project}).json()
    assert (backend["url"], backend["is_interactive"]) == (f"{door}/label-studio", True)
    assert (backend["auth_method"], backend["basic_auth_user"]) == ("BASIC_AUTH", names.USER)
    made = admin.get(f"/api/projects/{campaign.project}/").json()
    assert {name: made[name] for name in project.SWITCHES} == project.SWITCHES


def test_no_truth_is_sent_to_label_studio(make: Make) -> None:
    campaign = make(episode="shade_reveal = true")
    with campaign.store() as store, store.read() as connection:
        truths = {f"{row.truth}"[:8] for row in connection.execute(tables.truths.select()) if row.truth}
    campaign.publish()
    said = str(campaign.there())
    assert truths
    assert not any(truth in said for truth in truths)


def test_publishing_again_writes_nothing(make: Make, proxy: FaultyProxy) -> None:
    campaign = make(url=proxy.url)
    campaign.publish()
    assert proxy.writes()
    proxy.seen.clear()
    campaign.publish()
    assert proxy.writes() == []


def test_a_task_that_is_found_again_by_its_key_is_written_only_where_it_holds_something_else(
    make: Make, proxy: FaultyProxy
) -> None:
    campaign = make(url=proxy.url)
    campaign.publish()
    before, (row, *_) = campaign.there(), campaign.there()
    stale = {"data": {**row["data"], names.text(1): "of an earlier plan"}}
    campaign.real.client().patch(f"/api/tasks/{row['id']}/", json=stale)
    with campaign.store() as store, store.write() as connection:
        connection.execute(tables.tasks.update().values(external_id=None))
    proxy.seen.clear()
    campaign.publish()
    assert proxy.writes() == [("PATCH", f"/api/tasks/{row['id']}/")]
    assert [one["data"] for one in campaign.there()] == [one["data"] for one in before]
    assert campaign.everything_is_there_once()


def test_new_annotators_only_add(make: Make) -> None:
    campaign = make(annotators=3, targets=3)
    campaign.publish(places=1)
    first = campaign.tasks()
    assert len(first) == 2
    campaign.publish()
    assert len(campaign.tasks()) == 6
    assert campaign.everything_is_there_once()
    assert [task for task in campaign.tasks() if task.platform_id == first[0].platform_id] == first


def test_what_was_changed_or_removed_on_the_server_is_put_right(make: Make) -> None:
    campaign = make()
    campaign.publish()
    admin, (one, other, *_) = campaign.real.client(), campaign.tasks()
    admin.patch(f"/api/tasks/{one.external_id}/", json={"data": {**campaign.there()[0]["data"], "imitable": "t_other"}})
    admin.delete(f"/api/tasks/{other.external_id}/")
    admin.patch(f"/api/projects/{campaign.project}/", json={"show_collab_predictions": True})
    [backend] = admin.get("/api/ml", params={"project": campaign.project}).json()
    admin.patch(f"/api/ml/{backend['id']}", json={**backend, "is_interactive": False})
    assert not campaign.everything_is_there_once()
    campaign.publish()
    assert campaign.everything_is_there_once()
    assert not admin.get(f"/api/projects/{campaign.project}/").json()["show_collab_predictions"]
    [mended] = admin.get("/api/ml", params={"project": campaign.project}).json()
    assert mended["is_interactive"]


def test_a_project_that_was_deleted_is_made_again_and_one_that_lost_its_line_is_asked_about(make: Make) -> None:
    campaign = make()
    campaign.publish()
    admin, before = campaign.real.client(), campaign.project
    admin.patch(f"/api/projects/{before}/", json={"description": "mine"})
    with pytest.raises(PlatformError, match=r"Project \d+ .* Put the line 'imitable c_.*' back"):
        campaign.publish()
    admin.delete(f"/api/projects/{before}/")
    campaign.publish()
    assert campaign.project != before
    assert campaign.everything_is_there_once()


def test_a_project_of_the_same_number_on_another_server_is_left_alone(make: Make) -> None:
    campaign = make()
    campaign.publish()
    admin, elsewhere = campaign.real.client(), campaign.real.project()
    before = admin.get(f"/api/projects/{elsewhere}/").json()
    admin.delete(f"/api/projects/{campaign.project}/")
    with campaign.store() as store, store.write() as connection:
        connection.execute(tables.tasks.update().values(project=str(elsewhere)))
    campaign.publish()
    assert campaign.project != elsewhere
    assert campaign.everything_is_there_once()
    assert admin.get(f"/api/projects/{elsewhere}/").json() == before


# Whatever fails


@pytest.mark.parametrize("after", [False, True], ids=["before the server gets it", "after the server did it"])
def test_killed_at_every_step_the_same_command_makes_each_task_once(
    make: Make, proxy: FaultyProxy, after: bool
) -> None:
    """kill -9 at every request that writes, one a run; each run gets one further."""
    campaign = make(url=proxy.url, annotators=1)
    killed: list[str] = []
    writes = ("POST|PATCH|DELETE", r"/api/(?!token/refresh)")
    for _ in range(20):
        with imitable("publish", campaign) as command:

            def kill(pid: int = command.pid) -> None:
                killed.append(proxy.seen[-1][1])
                os.kill(pid, signal.SIGKILL)

            last_time = Fault(*writes, "pass", times=int(bool(killed) and not after))
            proxy.faults = [last_time, Fault(*writes, kill, after=after, times=1)]
            _said, complained = command.communicate(timeout=120)
        if command.returncode == 0:
            break
        assert command.returncode == -signal.SIGKILL, complained
    assert command.returncode == 0
    assert len(killed) >= 6, killed  # project, backend, tasks, tab, two drafts
    assert campaign.everything_is_there_once()
    admin, [person] = campaign.real.client(), campaign.people
    assert len(admin.get("/api/ml", params={"project": campaign.project}).json()) == 1
    assert len(admin.get("/api/dm/views", params={"project": campaign.project}).json()) == 1
    listed = f"/api/tasks/?project={campaign.project}&fields=all"
    mine = campaign.real.client(person).get(listed).json()["tasks"]
    assert [len(row["drafts"]) for row in mine] == [1, 1]


def imitable(command: str, campaign: OnLabelStudio) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "imitable", command, str(campaign.folder.path), "--platform", "label-studio"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, KEY: campaign.real.admin.token},
    )


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("after", [False, True], ids=["it does it later", "it did it"])
def test_an_import_that_times_out_while_the_server_goes_on_is_not_sent_twice(
    make: Make, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    monkeypatch.setattr(wire, "LONG", 0.5)
    proxy.faults = [Fault("POST", "/import", "slow", after=after, seconds=1.2, times=1)]
    campaign = make(url=proxy.url)
    campaign.publish()
    assert sum("/import" in path for _, path in proxy.writes()) == 1
    assert campaign.everything_is_there_once()


@pytest.mark.usefixtures("quick")
def test_an_import_that_comes_later_than_anybody_waits_for_is_there_once_all_the_same(
    make: Make, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "LONG", 0.5)
    monkeypatch.setattr(sending, "STILL", 0.1)
    proxy.faults = [
        Fault("POST", "/import", "slow", seconds=1.5, times=1),
        Fault("POST", "/import", "slow", after=True, seconds=1.5, times=1),
    ]
    campaign = make(url=proxy.url)
    campaign.publish()
    time.sleep(1.5)
    campaign.publish()
    assert campaign.everything_is_there_once()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("after", [False, True], ids=["not done", "done"])
def test_an_import_that_a_proxy_breaks_off_ends_with_each_task_once(
    make: Make, proxy: FaultyProxy, after: bool
) -> None:
    proxy.faults = [
        Fault("POST", "/import", "status", status=504, after=after, times=1),
        Fault("POST", "/import", "cut", after=after, times=1),
    ]
    campaign = make(url=proxy.url)
    campaign.publish()
    assert campaign.everything_is_there_once()


@pytest.mark.usefixtures("quick")
def test_a_task_that_got_there_twice_is_there_once_after_the_next_publish(make: Make) -> None:
    campaign = make()
    campaign.publish()
    copies = [{"data": row["data"]} for row in campaign.there()]
    campaign.real.client().post(f"/api/projects/{campaign.project}/import", json=copies)
    assert not campaign.everything_is_there_once()
    campaign.publish()
    assert campaign.everything_is_there_once()


@pytest.mark.usefixtures("quick")
def test_a_storm_of_5xx_is_waited_out_and_a_lasting_one_is_said(make: Make, proxy: FaultyProxy) -> None:
    proxy.faults = [Fault("GET|PATCH", "/api/", "status", status=502, times=2)]
    campaign = make(url=proxy.url)
    campaign.publish()
    assert campaign.everything_is_there_once()
    proxy.faults = [Fault("GET", "/api/", "status", status=503)]
    with pytest.raises(NotOffered, match=r"failed \(GET .*503 Bad gateway\).*The same command again"):
        campaign.publish()


@pytest.mark.usefixtures("quick")
def test_what_may_have_been_done_is_never_sent_again_by_itself(make: Make, proxy: FaultyProxy) -> None:
    proxy.faults = [Fault("POST", "/api/projects/$", "cut", after=True)]
    campaign = make(url=proxy.url)
    with pytest.raises(NotOffered, match=r"It may have done it\. The same command again looks first"):
        campaign.publish()
    assert [path for _, path in proxy.writes()] == ["/api/projects/"]
    proxy.faults = []
    campaign.publish()
    assert [path for _, path in proxy.writes() if path == "/api/projects/"] == ["/api/projects/"]


def test_two_commands_at_once_do_not_get_in_each_others_way(make: Make) -> None:
    campaign = make()
    with (
        closing(open_store(campaign.folder)) as store,
        project.alone(store, campaign.folder),
        pytest.raises(PlatformError, match="Another command is publishing"),
    ):
        campaign.publish()


# What a runner is told


def test_a_dry_run_needs_no_server_where_a_file_says_who_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign that `imitable new` writes, on a server that is not there."""
    monkeypatch.delenv(KEY, raising=False)
    new(tmp_path / "new")
    toml = tmp_path / "new" / "campaign.toml"
    settings = '\n[platform.label_studio]\nurl = "http://127.0.0.1:9"\naccounts = "accounts.csv"\n'
    toml.write_text(toml.read_text(encoding="utf-8") + settings, encoding="utf-8")
    (tmp_path / "new" / "accounts.csv").write_text("email\nAnn@Example.com\nbob@example.com\n", encoding="utf-8")
    build(tmp_path / "new")
    shown = CliRunner().invoke(
        app, ["publish", str(tmp_path / "new"), "--platform", "label-studio", "--dry-run"], catch_exceptions=False
    )
    assert shown.exit_code == 0
    assert "Would make a Label Studio project at http://127.0.0.1:9 with 8 episodes for 2 annotators." in shown.output
    assert not (tmp_path / "new" / "label-studio.csv").exists()


def test_without_a_file_everybody_but_the_publisher_plays(
    label_studio: Real, door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    people(label_studio, 2)
    campaign = OnLabelStudio(tmp_path / "c", label_studio, door, annotators=0, accounts=False)
    users = [user["email"] for user in label_studio.client().get("/api/users/").json()]
    would = campaign.publish(dry_run=True)
    assert f"of {len(users) - 1} accounts" in " ".join(would.notes) or f"{len(users) - 1} annotators" in would.what
    campaign.publish(places=1)
    assert {task.platform_id for task in campaign.tasks()} == {sorted(set(users) - {label_studio.admin.email})[0]}


@pytest.mark.parametrize(
    ("csv", "said"),
    [
        ("name\nx\n", r"has no column 'email'. Its first line must be: email,token"),
        ("email\nann\n", r"line 2: 'ann' is no e-mail address"),
        ("email\na@x.org\nA@x.org\n", r"line 3: a@x.org stands there twice"),
        ("email\n", r"names nobody"),
        ("email\nnobody-here@example.com\n", r"has no account nobody-here@example.com\. Invite them"),
    ],
)
def test_what_is_wrong_with_the_accounts_is_said(make: Make, csv: str, said: str) -> None:
    campaign = make()
    (campaign.folder.path / "accounts.csv").write_text(csv, encoding="utf-8")
    with pytest.raises(PlatformError, match=said):
        campaign.publish()


def test_a_token_of_somebody_else_is_refused(make: Make) -> None:
    campaign = make()
    one, other = campaign.people
    (campaign.folder.path / "accounts.csv").write_text(f"email,token\n{one.email},{other.token}\n", encoding="utf-8")
    with pytest.raises(PlatformError, match=f"The token of {one.email} in the accounts' file is another account's"):
        campaign.publish()


def test_a_game_that_does_not_run_is_said_plainly_and_neither_money_nor_status_takes_it_for_published(
    make: Make, door: str
) -> None:
    campaign = make(toml='[pay]\ncurrency = "USD"\nbase = "3.00"\ncap = "400.00"\n')
    campaign.edit(door, "http://127.0.0.1:9")
    folder = campaign.folder.path
    with pytest.raises(
        NotOffered,
        match=r"Nobody was invited, and the 6.00 USD that were set aside for it are free again.*cannot reach the game: "
        r"nothing runs at http://127.0.0.1:9/label-studio. Start it with 'imitable serve.*backend_url",
    ):
        publish(folder, platform="label-studio")
    seen = status(folder)
    assert seen.money.aside.minor == 0
    assert seen.next_step == f"imitable serve {folder}, and beside it imitable publish {folder} --platform label-studio"
    campaign.edit("http://127.0.0.1:9", door)
    publish(folder, platform="label-studio")
    assert campaign.everything_is_there_once()
    assert status(folder).next_step.endswith(f"send each person the address in {folder / 'label-studio.csv'}")


def test_without_a_key_nobody_is_invited_and_no_money_is_held(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = make(toml='[pay]\ncurrency = "USD"\nbase = "3.00"\ncap = "400.00"\n')
    folder, key = campaign.folder.path, os.environ[KEY]
    monkeypatch.delenv(KEY)
    with pytest.raises(NotOffered, match=r"Nobody was invited, and the 6.00 USD .* are free again.*Personal Access"):
        publish(folder, platform="label-studio")
    assert status(folder).money.aside.minor == 0
    monkeypatch.setenv(KEY, key)
    publish(folder, platform="label-studio", places=1)
    monkeypatch.setenv(KEY, "no key")
    with pytest.raises(NotOffered, match=r"Nobody was invited, and the 3.00 USD .* are free again.*does not accept"):
        publish(folder, platform="label-studio")
    assert status(folder).money.aside.minor == 300


def test_other_accounts_in_the_file_are_more_sittings_and_money_is_set_aside_for_them(make: Make) -> None:
    campaign = make(annotators=4, toml='[pay]\ncurrency = "USD"\nbase = "3.00"\ncap = "400.00"\n')
    folder, file = campaign.folder.path, campaign.folder.path / "accounts.csv"
    header, *rows = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for at in (0, 2):
        file.write_text(header + "".join(rows[at : at + 2]), encoding="utf-8")
        made = publish(folder, platform="label-studio")
        assert made.sittings == at + 2
        assert status(folder).money.aside.minor == 300 * (at + 2)


def test_who_was_planned_in_a_run_that_failed_is_not_invited_by_one_that_asks_for_fewer(make: Make, door: str) -> None:
    campaign = make()
    campaign.edit(door, "http://127.0.0.1:9")
    with pytest.raises(NotOffered):
        campaign.publish()
    campaign.edit("http://127.0.0.1:9", door)
    assert campaign.publish(places=1).sittings == 1
    assert {task.platform_id for task in campaign.tasks()} == {campaign.people[0].email}
    assert campaign.publish().sittings == 2


def test_an_account_that_came_after_the_money_was_set_aside_is_sent_nothing(make: Make) -> None:
    campaign = make()
    assert campaign.publish(places=1, dry_run=True).sittings == 1
    with pytest.raises(NotOffered, match=r"there are 2 sittings now, and money was set aside for 1.*Publish again"):
        campaign.publish()
    assert campaign.tasks() == []
    campaign.publish(places=1)
    assert len(campaign.tasks()) == 2


def test_who_was_forgotten_keeps_their_place_and_nobody_is_invited_in_their_stead(make: Make) -> None:
    campaign = make(annotators=3)
    campaign.publish(places=2)
    campaign.close(now=True)
    forget(campaign.folder.path, campaign.folder.annotator_id("label-studio", campaign.people[0].email))
    assert campaign.publish(places=2, dry_run=True).sittings == 1  # nothing of theirs is there any more
    campaign.publish(places=2)
    assert campaign.people[2].email not in {task.platform_id for task in campaign.tasks()}


def test_what_stands_in_a_project_is_not_handed_out_again_as_files_nor_the_other_way(
    make: Make, tmp_path: Path
) -> None:
    campaign = make()
    campaign.publish()
    with campaign.store() as store, pytest.raises(PlatformError, match=r"4 tasks .* stand in a project.*second time"):
        write_files(campaign.folder, store, tmp_path / "files", places=None)
    assert not (tmp_path / "files").exists()
    by_hand = invented_campaign(tmp_path / "by hand", more='[platform.label_studio]\nurl = "http://127.0.0.1:9"\n')
    with closing(open_store(by_hand)) as store:
        write_files(by_hand, store, tmp_path / "files", places=1)
        with pytest.raises(PlatformError, match=r"10 tasks .* were written to files.*second time.*imitable new"):
            LabelStudio().publish(by_hand, store, places=None, dry_run=True)


def test_programs_that_play_demos_are_not_invited() -> None:
    emails = {1: "me@lab.org", 2: "ann@lab.org", 3: "player-01@simulated.invalid"}
    assert [one.email for one in everybody_but("me@lab.org", emails, "http://x")] == ["ann@lab.org"]
    with pytest.raises(PlatformError, match=r"and those of programs \(@simulated.invalid\). Invite annotators"):
        everybody_but("ann@lab.org", {2: "ann@lab.org", 3: "player-01@simulated.invalid"}, "http://x")


def test_a_labelling_page_that_is_not_valid_is_refused_before_anything_is_asked(make: Make) -> None:
    with pytest.raises(PlatformError, match=r"not found in names.*Nothing was made"):
        check_config('<View><TextArea name="a" toName="nowhere"/></View>')


def test_without_its_table_or_key_the_runner_is_told_how_to_get_them(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    invented_campaign(tmp_path / "bare")
    with pytest.raises(PlatformError, match=r"no table \[platform.label_studio\]"):
        publish(tmp_path / "bare", platform="label-studio")
    campaign = make()
    monkeypatch.delenv(KEY)
    with pytest.raises(PlatformError, match=f"{KEY} is not set.*Personal Access Token"):
        campaign.publish()
