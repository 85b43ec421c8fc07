"""What `imitable serve` tells the runner to give to each platform."""

from __future__ import annotations

from pathlib import Path

from imitable.campaign import open_folder
from imitable.commands.invitations import about_links, invitations
from imitable.commands.publish import publish
from imitable.testing import invented_campaign

PLATFORMS = """
[serve]
public_url = "https://lab.example/play/"
[platform.prolific]
completion_code = "DONE1234"
[platform.mturk]
worker_sites = ["https://Worker.example:443/tasks"]
"""


def test_each_platform_gets_its_address_and_codes(tmp_path: Path) -> None:
    said = "\n".join(invitations(invented_campaign(tmp_path, more=PLATFORMS), "http://127.0.0.1:8000"))
    ids = "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    assert f"https://lab.example/play/prolific?{ids}" in said
    assert "DONE1234 (finished)" in said
    assert "https://lab.example/play/mturk, in frames of https://worker.example" in said


def test_a_campaign_of_links_alone_has_nothing_to_give(tmp_path: Path) -> None:
    assert invitations(invented_campaign(tmp_path), "http://127.0.0.1:8000") == []


def test_an_open_campaign_says_where_anyone_may_play(tmp_path: Path) -> None:
    said = invitations(invented_campaign(tmp_path, web="open = true"), "http://127.0.0.1:8000")
    assert said == ["Anyone may play, unpaid, at http://127.0.0.1:8000/"]


def test_a_campaign_that_names_no_site_for_frames_is_told_so(tmp_path: Path) -> None:
    [said] = invitations(invented_campaign(tmp_path, more="[platform.mturk]\n"), "http://127.0.0.1:8000")
    assert "worker_sites" in said


def test_links_made_for_another_address_are_noticed(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path)
    assert about_links(folder, "http://127.0.0.1:8000") == []
    publish(tmp_path, places=1)
    assert len(about_links(folder, "http://127.0.0.1:8000")) == 1
    assert "the game is at http://127.0.0.1:9000." in about_links(folder, "http://127.0.0.1:9000")[1]
    with (tmp_path / "campaign.toml").open("a", encoding="utf-8") as file:
        file.write('[serve]\npublic_url = "https://lab.example/play/"\n')
    moved = open_folder(tmp_path)
    said = about_links(moved, "http://127.0.0.1:8000")[1]
    assert said.startswith("They start with http://127.0.0.1:8000; the game is at https://lab.example/play, as [serve]")
    assert f"imitable publish {tmp_path}" in said
    publish(tmp_path, places=1)
    assert len(about_links(moved, "http://127.0.0.1:8000")) == 1


def test_label_studio_is_published_beside_the_game_and_then_has_addresses(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path, more="[platform.label_studio]\n")
    [said] = invitations(folder, "http://127.0.0.1:8000")
    assert said.endswith(f"imitable publish {tmp_path} --platform label-studio")
    (tmp_path / "label-studio.csv").touch()
    [said] = invitations(folder, "http://127.0.0.1:8000")
    assert said.endswith(f"{tmp_path / 'label-studio.csv'}.")
