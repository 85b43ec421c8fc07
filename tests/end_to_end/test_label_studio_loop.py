"""The whole loop in a real Label Studio: published, played over its HTTP while both servers are killed, collected and
ranked; and asked, at every address and as an ordinary annotator, for what nobody has guessed yet.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from label_studio_campaign import TRUTHS, OnLabelStudio, with_key
from sqlalchemy import select

from imitable.commands.export import export
from imitable.commands.rank import rank
from imitable.game.simulated import Profile
from imitable.rehearsal.label_studio.accounts import logged_in
from imitable.rehearsal.label_studio.playing import play_tasks
from imitable.store import tables
from label_studio_server import LabelStudio as Real
from label_studio_server import addresses_of_label_studio, with_tables
from labelling import invent_readings
from lengths import examples

if TYPE_CHECKING:
    from conftest import Server

pytestmark = pytest.mark.xdist_group("label-studio")


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


@dataclass(frozen=True)
class Size:
    """Of a campaign, and of what is played of it."""

    people: int
    episodes: int
    """Tasks of each of them."""
    rounds: int
    """Of an episode; the last two show no answer."""
    play: int
    """Tasks that whoever plays plays."""

    @property
    def targets(self) -> int:
        """As many as give nobody's items to another: an invented pool is enough for four."""
        return max(self.episodes, -(-self.people * self.episodes // 4))


SMALL = Size(people=4, episodes=2, rounds=5, play=2)
WIDER = Size(people=examples(4), episodes=2, rounds=5, play=2)
FULL = Size(people=20, episodes=50, rounds=10, play=5)
"""10,000 rounds, of which one player plays fifty."""

Here = tuple[OnLabelStudio, "Server"]


@pytest.fixture
def published(
    both: Real, tmp_path: Path, serving: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Here]:
    """Publish a campaign of a size, at some levels; it comes with the game's server."""
    with_key(monkeypatch, both)

    def publish(size: Size, levels: Sequence[str] = ("examples",)) -> Here:
        campaign = OnLabelStudio(
            tmp_path / "campaign",
            both,
            "http://127.0.0.1:1",
            annotators=size.people,
            targets=size.targets,
            episodes=size.episodes,
            practice=size.rounds - 2,
            held_out=2,
            levels=levels,
        )
        with campaign.store() as store:
            invent_readings(store, *campaign.folder.config.episode.beyond)
        game = serving(campaign.folder.path)
        campaign.edit("http://127.0.0.1:1", game.address)
        campaign.publish()
        assert len(campaign.tasks()) == size.people * size.episodes
        return campaign, game

    return publish


def _play(here: OnLabelStudio, people: int, episodes: int, tick: Callable[[int], object] = lambda _: None) -> int:
    chosen = here.people[:people]
    profiles = [Profile(one.email, noise=0.5) for one in chosen]
    return play_tasks(here.real.url, here.project, chosen, profiles, seed=3, episodes=episodes, tick=tick)


@pytest.mark.parametrize("both", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True)
def test_nothing_that_has_yet_to_be_guessed_is_readable_at_any_address(
    published: Callable[..., Here], tmp_path: Path
) -> None:
    campaign, _ = published(WIDER, levels=("examples", "upstream", "weights", "consult"))
    half = len(campaign.people) // 2
    assert _play(campaign, half, WIDER.play) == half * WIDER.play * WIDER.rounds
    sealed, nosy = campaign.sealed(), campaign.people[-1]
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
        leaked = sealed & set(TRUTHS.findall(answer.text))
        assert not leaked, (str(answer.request.url), leaked)


@pytest.mark.parametrize(
    ("size", "players"),
    [
        pytest.param(SMALL, {"sqlite": 4, "postgresql": 4}, id="small"),
        pytest.param(FULL, {"sqlite": 4, "postgresql": 20}, id="full", marks=pytest.mark.long),
    ],
)
def test_both_servers_are_killed_and_nothing_is_lost_or_doubled(
    published: Callable[..., Here],
    size: Size,
    players: dict[str, int],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    campaign, game = published(size)
    people = players[request.node.callspec.params["both"]]
    wanted = people * size.play * size.rounds
    done: list[int] = []
    played: list[int] = []
    thread = threading.Thread(target=lambda: played.append(_play(campaign, people, size.play, done.append)))
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
    assert collected.sittings == people
    assert collected.findings == ()
    with campaign.store() as store, store.read() as connection:
        assert len(connection.execute(select(tables.answers)).all()) == people * size.play
    export(campaign.folder.path, out=tmp_path / "out")
    summary = rank(tmp_path / "out", out=tmp_path / "results")
    assert np.isfinite(summary.ranking["imitability"]).all()
    assert len(summary.ranking) == len({row[0] for row in _targets(campaign)})


def _targets(here: OnLabelStudio) -> list[Any]:
    with here.store() as store, store.read() as connection:
        return list(connection.execute(select(tables.episodes.c.target_id).where(tables.BEGUN)).all())
