"""The whole loop in a real Label Studio: published, played over its HTTP while both servers are killed, collected and
ranked; and asked, at every address and as an ordinary annotator, for what nobody has guessed yet.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from label_studio_campaign import OnLabelStudio, with_key
from sqlalchemy import select

from imitable.commands.export import export
from imitable.commands.rank import rank
from imitable.game.simulated import Profile
from imitable.rehearsal.label_studio.accounts import logged_in
from imitable.rehearsal.label_studio.playing import play_tasks
from imitable.store import tables
from label_studio_server import LabelStudio as Real
from label_studio_server import addresses_of_label_studio, with_tables
from lengths import examples

if TYPE_CHECKING:
    from conftest import Server

pytestmark = pytest.mark.xdist_group("label-studio")

EPISODES, ROUNDS = 2, 5
TRUTHS = re.compile(r"\d\.\d{4,}")


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Real]:
    """A Label Studio that may be killed; on PostgreSQL our record lies there, too."""
    if request.param == "sqlite":
        yield request.getfixturevalue("own_label_studio")
        return
    postgresql: Callable[[], str] = request.getfixturevalue("postgresql")
    monkeypatch.setenv("IMITABLE_STORE_URL", postgresql())
    server = Real(tmp_path / "label-studio", postgres=with_tables(postgresql()))
    yield server
    server.remove()


@pytest.fixture
def here(
    both: Real, tmp_path: Path, serving: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> tuple[OnLabelStudio, Server]:
    """A published campaign for some people, and the game's server."""
    with_key(monkeypatch, both)
    people = examples(4)
    campaign = OnLabelStudio(
        tmp_path / "campaign", both, "http://127.0.0.1:1", annotators=people, targets=people, episodes=EPISODES
    )
    game = serving(campaign.folder.path)
    campaign.edit("http://127.0.0.1:1", game.address)
    campaign.publish()
    return campaign, game


def _sealed(here: OnLabelStudio) -> set[str]:
    """The first digits of every truth whose guess is not committed, and of those that are never shown."""
    query = (
        select(tables.truths.c.truth, tables.truths.c.activation)
        .join(tables.rounds, tables.rounds.c.item_id == tables.truths.c.item_id)
        .outerjoin(tables.guesses, tables.OF_ROUND)
        .where(tables.guesses.c.trial.is_(None) | (tables.rounds.c.phase == "held_out"))
    )
    with here.store() as store, store.read() as connection:
        rows = connection.execute(query).all()
    return {TRUTHS.match(repr(abs(value)))[0][:6] for row in rows for value in row if TRUTHS.match(repr(abs(value)))}  # type: ignore[index]


def _play(here: OnLabelStudio, people: slice, tick: Callable[[int], object] = lambda _: None) -> int:
    chosen = here.people[people]
    profiles = [Profile(one.email, noise=0.5) for one in chosen]
    return play_tasks(here.real.url, here.project, chosen, profiles, seed=3, tick=tick)


def test_nothing_that_has_yet_to_be_guessed_is_readable_at_any_address(
    here: tuple[OnLabelStudio, Server], tmp_path: Path
) -> None:
    campaign, _ = here
    half = len(campaign.people) // 2
    assert _play(campaign, slice(half)) == half * EPISODES * ROUNDS
    sealed, nosy = _sealed(campaign), campaign.people[-1]
    assert len(sealed) > 20
    [backend] = campaign.real.client().get("/api/ml", params={"project": campaign.project}).json()
    read = []
    with logged_in(campaign.real.url, nosy) as browser:
        token = {"X-CSRFToken": browser.cookies["csrftoken"], "Referer": campaign.real.url}
        for task in campaign.tasks():
            asked: dict[str, Any] = {"task": int(task.external_id), "context": None}
            read.append(browser.post(f"/api/ml/{backend['id']}/interactive-annotating", json=asked, headers=token))
            typed = {"from_name": "guess5", "to_name": "r5", "type": "textarea", "value": {"text": ["5"]}}
            asked["context"] = {"result": [typed]}
            read.append(browser.post(f"/api/ml/{backend['id']}/interactive-annotating", json=asked, headers=token))
        for action in ("retrieve_tasks_predictions", "predictions_to_annotations"):
            where = {"id": action, "project": campaign.project}
            everything = {"selectedItems": {"all": True, "excluded": []}}
            read.append(browser.post("/api/dm/actions", params=where, json=everything, headers=token))
        for address in addresses_of_label_studio(tmp_path):
            if "logout" in address:
                continue
            first = int(campaign.tasks()[-1].external_id)
            number = {"projects": campaign.project, "ml": backend["id"]}.get(
                address.removeprefix("/api").split("/")[1], first
            )
            path = re.sub(r"<(?:[a-z_]+:)?(?:pk|project_id)>", str(number), address)
            path = re.sub(r"<[^<>]*>", "1", path)
            read.append(browser.get(path, params={"project": campaign.project, "exportType": "JSON", "fields": "all"}))
        whole: dict[str, Any] = {"project": campaign.project, "fields": "all", "page_size": 1000}
        read.append(browser.get("/api/tasks/", params=whole))
        planted = {"task": first, "model_version": "leak", "result": [], "score": float(f"0.{min(sealed)[2:]}1")}
        campaign.real.client().post("/api/predictions", json=planted).raise_for_status()
        found = browser.get("/api/tasks/", params=whole).text
        assert f"0.{min(sealed)[2:]}1" in found, "what is looked for would not be found"
    assert sum(answer.status_code == 200 for answer in read) > 50
    for answer in read:
        leaked = sealed & {found[:6] for found in TRUTHS.findall(answer.text)}
        assert not leaked, (str(answer.request.url), leaked)


def test_both_servers_are_killed_and_nothing_is_lost_or_doubled(
    here: tuple[OnLabelStudio, Server], tmp_path: Path
) -> None:
    campaign, game = here
    wanted = len(campaign.people) * EPISODES * ROUNDS
    done: list[int] = []
    played: list[int] = []
    thread = threading.Thread(target=lambda: played.append(_play(campaign, slice(None), done.append)))
    thread.start()
    for share, kill, start in (
        (0.2, game.kill, game.start),
        (0.5, campaign.real.kill, campaign.real.start),
        (0.7, game.kill, game.start),
    ):
        while len(done) < share * wanted and thread.is_alive():
            time.sleep(0.05)
        kill()
        start()
    thread.join()
    assert played == [wanted]
    committed = campaign.guesses()
    assert len(committed) == wanted
    assert len({row[:2] for row in committed}) == wanted
    collected = campaign.collect()
    assert collected.sittings == len(campaign.people)
    assert collected.findings == ()
    with campaign.store() as store, store.read() as connection:
        assert len(connection.execute(select(tables.answers)).all()) == len(campaign.people) * EPISODES
    export(campaign.folder.path, out=tmp_path / "out")
    summary = rank(tmp_path / "out", out=tmp_path / "results")
    assert np.isfinite(summary.ranking["imitability"]).all()
    assert len(summary.ranking) == len({row[0] for row in _targets(campaign)})


def _targets(here: OnLabelStudio) -> list[Any]:
    with here.store() as store, store.read() as connection:
        return list(connection.execute(select(tables.episodes.c.target_id).where(tables.BEGUN)).all())
