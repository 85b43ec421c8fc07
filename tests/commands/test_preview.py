"""`imitable preview`: all pages on the practice target, and the campaign as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from imitable.campaign import Folder
from imitable.commands.preview import preview_app
from imitable.game import Game
from imitable.game.practising import practice_folder, practice_records
from imitable.store import load_build, open_store, read_build
from imitable.testing import invented_campaign

EPISODE = "checks = [2]\nrepeats = [4]"


@pytest.fixture
def campaign(tmp_path: Path) -> Folder:
    return invented_campaign(tmp_path / "campaign", consent="We ask for nothing.", episode=EPISODE, polarity="both")


@pytest.fixture
def client(campaign: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("IMITABLE_STORE_URL", "postgresql://nobody@127.0.0.1:1/not-to-be-touched")
    home = tmp_path / "practice"
    home.mkdir()
    folder = practice_folder(campaign, home)
    store = open_store(folder, url="sqlite")
    load_build(store, name="preview", build_hash="0" * 64, records=practice_records(folder))
    yield TestClient(preview_app(Game(folder, store)), base_url="http://127.0.0.1")
    store.close()


def test_every_page_is_one_button_away_and_none_shows_a_text_of_the_campaign(
    client: TestClient, campaign: Folder
) -> None:
    before = {path: path.read_bytes() for path in campaign.path.rglob("*") if path.is_file()}
    listed = client.get("/").text
    kinds = []
    texts = [item.text for item in read_build(campaign.build)["items"]]
    for action, form in re.findall(r'<form method="post" action="(/\w+)">(.*?)</form>', listed, re.DOTALL):
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        page = client.post(action, data=fields).text
        found = re.search(r'<main class="(\w+)"', page)
        assert found is not None
        kinds.append(found[1])
        assert not any(text in page for text in texts)
    assert kinds == ["round", "round", "reveal", "round", "questions", "done", "problem"]
    link = re.search(r'href="(/j/\w+)"', listed)
    assert link is not None
    assert "We ask for nothing." in client.get(link[1]).text
    assert {path: path.read_bytes() for path in campaign.path.rglob("*") if path.is_file()} == before


def test_an_episode_longer_than_the_practice_target_is_shown_shorter(tmp_path: Path) -> None:
    long = invented_campaign(tmp_path / "campaign", practice=150, held_out=50, targets=1)
    (tmp_path / "practice").mkdir()
    folder = practice_folder(long, tmp_path / "practice")
    assert (folder.config.episode.practice, folder.config.episode.held_out) == (15, 5)
    records = practice_records(folder)
    assert len({item.item_id for item in records["items"]}) == 20 * folder.config.sitting.episodes
