"""`imitable label-studio doctor` on real servers: one as it should be, a careless one, and projects meddled with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from label_studio_campaign import OnLabelStudio, any_door, with_key
from sqlalchemy import select, update
from typer.testing import CliRunner

from imitable.cli.app import app
from imitable.commands import leaks
from imitable.commands.label_studio import doctor
from imitable.errors import PlatformError
from imitable.game.label_studio import names
from imitable.platforms.label_studio import checking
from imitable.platforms.label_studio.refusals import KEY
from imitable.rehearsal.label_studio import Account, Installation, down
from imitable.rehearsal.label_studio.accounts import logged_in, with_token
from imitable.rehearsal.label_studio.process import begin_database, start
from imitable.store import tables
from imitable.testing import invented_campaign
from label_studio_server import LabelStudio as Real
from label_studio_server import free_port, installed

pytestmark = pytest.mark.xdist_group("label-studio")

CARELESS = {
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "false",
    "COLLECT_ANALYTICS": "true",
    "FRONTEND_SENTRY_DSN": "https://key@127.0.0.1/1",
    "ML_BLOCK_LOCAL_IP": "true",
    "HTTPS_PROXY": "http://127.0.0.1:9",  # whom it would call, it does not reach
    "HTTP_PROXY": "http://127.0.0.1:9",
}


@pytest.fixture
def campaign(label_studio: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnLabelStudio]:
    """A published campaign of two annotators on the real server, with a game that is up."""
    with_key(monkeypatch, label_studio)
    with any_door() as door:
        made = OnLabelStudio(tmp_path / "campaign", label_studio, door)
        made.publish()
        yield made


def wrongs(campaign: OnLabelStudio) -> list[str]:
    """What the doctor finds wrong."""
    return [check.said for check in doctor(campaign.folder.path).checks if check.word == "wrong"]


def give_truth(campaign: OnLabelStudio, task: Any, trial: int, truth: float) -> None:
    """Let this be the truth of a round of a task: invented ones are often zero, which no search finds."""
    item = select(tables.rounds.c.item_id).where(
        tables.rounds.c.episode_id == task.episode_id, tables.rounds.c.trial == trial
    )
    with campaign.store() as store, store.write() as connection:
        one = tables.truths.c.item_id == item.scalar_subquery()
        connection.execute(update(tables.truths).where(one).values(truth=truth))


def test_a_server_as_it_should_be_is_said_to_be_so(campaign: OnLabelStudio) -> None:
    shown = CliRunner().invoke(app, ["label-studio", "doctor", str(campaign.folder.path)])
    assert shown.exit_code == 0, shown.output
    assert "Label Studio 1.23.2, which imitable is tested with." in shown.output
    assert "Legacy tokens are off." in shown.output
    assert "Nothing in 4 tasks tells" in shown.output
    assert "How far that goes: numbers were looked for with two decimals and more" in shown.output
    assert "of drafts" not in shown.output, "all of them were read"
    assert "no roles" in shown.output
    assert "publish --platform web" in shown.output
    assert "Nothing is wrong" in shown.output


def test_a_careless_server_is_told_each_thing_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed()
    data, admin, port = tmp_path / "data", Account("admin@example.com", "long-enough-1"), free_port()
    data.mkdir()
    begin_database(Installation(), data)
    who = {"LABEL_STUDIO_USERNAME": admin.email, "LABEL_STUDIO_PASSWORD": admin.password}
    start(Installation(), data, port=port, settings=CARELESS | who)
    try:
        url = f"http://127.0.0.1:{port}"
        with logged_in(url, admin) as client:
            monkeypatch.setenv(KEY, with_token(client, admin).token)
        more = f'[platform.label_studio]\nurl = "{url}"\n'
        invented_campaign(tmp_path / "campaign", more=more)
        shown = CliRunner().invoke(app, ["label-studio", "doctor", str(tmp_path / "campaign")])
    finally:
        down(data)
    assert shown.exit_code == 4, shown.output
    said = " ".join(shown.output.split())
    for remedy in (
        "Turn them off under Organization",
        "COLLECT_ANALYTICS=false",
        "analytics and error reports",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK=true",
        "ML_BLOCK_LOCAL_IP=false",
        "Nothing is published there yet",
    ):
        assert remedy in said, remedy


def test_what_an_ordinary_account_can_do_to_a_project_is_found(campaign: OnLabelStudio) -> None:
    project, meddler = campaign.project, campaign.real.client(campaign.people[0])
    assert wrongs(campaign) == []
    with any_door() as other:
        backend = {"url": other, "project": project, "title": "theirs"}
        assert meddler.post("/api/ml", json=backend).status_code == 201
        hook = {"url": f"{other}/hook", "project": project, "send_payload": True, "send_for_all_actions": True}
        assert meddler.post("/api/webhooks/", json=hook).status_code == 201
        assert meddler.patch(f"/api/projects/{project}", json={"show_collab_predictions": True}).status_code == 200
        found = wrongs(campaign)
    assert [said for said in found if f"{other}, {other}/hook" in said]
    assert [said for said in found if "show_collab_predictions" in said and "imitable publish" in said]


def test_a_truth_that_is_not_revealed_is_found_wherever_it_stands(campaign: OnLabelStudio) -> None:
    admin, person = campaign.real.client(), campaign.people[0]
    task = campaign.of(person)
    known, unknown, never = 4.123456, 5.234567, 6.345678
    for trial, truth in ((1, known), (2, unknown), (4, never)):
        give_truth(campaign, task, trial, truth)
    page = campaign.play(person, ["5"])
    own = campaign.real.client(person)
    draft = own.get(f"/api/tasks/{task.external_id}").json()["drafts"][0]["id"]
    own.patch(f"/api/drafts/{draft}", json={"result": page})
    data = admin.get(f"/api/tasks/{task.external_id}").json()["data"]

    def with_data(**changed: str) -> list[str]:
        answer = admin.patch(f"/api/tasks/{task.external_id}", json={"data": data | changed})
        assert answer.status_code == 200
        return wrongs(campaign)

    assert with_data() == []
    assert with_data(r2=data["r2"] + f" {known:.4f}") == []  # it was revealed
    for truth in (unknown, never):
        for text in (f"{truth:.3f}", repr(truth)):
            [said] = with_data(r2=data["r2"] + f"<i>{text}</i>")
            assert said.startswith(f"Task {task.external_id} holds the very number")
    assert "truth" in with_data(truth="3")[0]
    assert with_data() == []

    shown = {"from_name": names.truth(2), "to_name": names.text(2), "type": "number", "value": {"number": 3.0}}
    own.patch(f"/api/drafts/{draft}", json={"result": [*page, shown]})
    assert [said for said in wrongs(campaign) if "an answer to round 2" in said]
    own.patch(f"/api/drafts/{draft}", json={"result": page})
    made = admin.post("/api/predictions/", json={"task": int(task.external_id), "result": [shown]})
    assert made.status_code == 201, made.text
    assert [said for said in wrongs(campaign) if "predictions" in said]


def test_a_game_that_is_down_and_a_project_that_is_gone_are_said(campaign: OnLabelStudio) -> None:
    toml = campaign.folder.path / "campaign.toml"
    project = campaign.project
    with any_door() as other:
        pass
    before = toml.read_text(encoding="utf-8")
    [backend] = campaign.real.client().get("/api/ml", params={"project": project}).json()
    door = backend["url"].removesuffix(names.DOOR)
    toml.write_text(before.replace(door, other), encoding="utf-8")
    assert [said for said in wrongs(campaign) if "does not ask" in said and "imitable publish" in said]
    toml.write_text(before, encoding="utf-8")
    admin = campaign.real.client()
    admin.patch(f"/api/projects/{project}", json={"description": ""})
    assert [said for said in wrongs(campaign) if "into the description" in said]


def test_a_backend_that_does_not_answer_is_said(
    label_studio: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_key(monkeypatch, label_studio)
    with any_door() as door:
        made = OnLabelStudio(tmp_path / "campaign", label_studio, door)
        made.publish()
    assert [said for said in wrongs(made) if "does not reach the game" in said and "imitable serve" in said]


def test_items_that_are_shared_without_a_proxy_are_said(campaign: OnLabelStudio) -> None:
    """As when proxied was true while the tasks were published, and was taken out later."""
    one, other = (campaign.of(person).episode_id for person in campaign.people)
    shared = select(tables.rounds.c.item_id).where(tables.rounds.c.episode_id == one, tables.rounds.c.trial == 1)
    with campaign.store() as store, store.write() as connection:
        first = (tables.rounds.c.episode_id == other) & (tables.rounds.c.trial == 1)
        connection.execute(update(tables.rounds).where(first).values(item_id=shared.scalar_subquery()))
    [said] = wrongs(campaign)
    assert "1 items are played by more than one annotator" in said
    assert "--nginx" in said


def test_that_only_the_first_drafts_were_read_is_said(campaign: OnLabelStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "DRAFTS", 1)
    said = [check.said for check in doctor(campaign.folder.path).checks]
    assert [one for one in said if "of drafts, those of the first 1 of 4 tasks were read" in one]


def test_another_version_is_said(campaign: OnLabelStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "TESTED", ("1.19.0",))
    assert "imitable is tested with 1.19.0" in wrongs(campaign)[0]


def test_who_asks_must_be_known_and_the_server_up(campaign: OnLabelStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY)
    shown = CliRunner().invoke(app, ["label-studio", "doctor", str(campaign.folder.path)])
    assert isinstance(shown.exception, PlatformError)
    assert KEY in str(shown.exception)


def test_the_doctor_writes_the_configuration_of_nginx(campaign: OnLabelStudio, tmp_path: Path) -> None:
    asked = ["label-studio", "doctor", str(campaign.folder.path), "--nginx", str(tmp_path / "ls.conf")]
    shown = CliRunner().invoke(app, [*asked, "--listen", "8099"])
    assert shown.exit_code == 0, shown.output
    assert "under [platform.label_studio], set proxied = true" in shown.output
    assert "listen 8099;" in (tmp_path / "ls.conf").read_text(encoding="utf-8")
