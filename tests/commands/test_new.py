"""`imitable new`: a folder that works as it is, a key that is never replaced, and nothing touched that was there."""

from __future__ import annotations

import os
import stat
from importlib.resources import files
from pathlib import Path

import pytest

from imitable.campaign import open_folder
from imitable.commands.new import new
from imitable.errors import CampaignError


def test_a_new_campaign_is_complete_and_says_what_was_made(tmp_path: Path) -> None:
    made = new(tmp_path / "deep" / "campaign")
    assert sorted(path.name for path in made) == ["campaign.toml", "consent.md", "secret.key"]
    folder = open_folder(tmp_path / "deep" / "campaign")
    assert folder.config.campaign.name == "first-look"
    assert len(folder.key) == 32
    assert "voluntary" in folder.consent_text()


def test_the_consent_text_is_true_wherever_people_play(tmp_path: Path) -> None:
    """What is stored and how to stop differs from door to door: each page says it, and the text says where."""
    new(tmp_path / "c")
    folder = open_folder(tmp_path / "c")
    words, consent = folder.texts(), folder.consent_text()
    room = files("imitable_templates")
    for page in ("web/landing.html.j2", "label_studio/intro.html.j2"):
        drawn = room.joinpath(*page.split("/")).read_text(encoding="utf-8")
        for heading in ("landing.stored", "landing.stop"):
            assert f'<dt>{{{{ "{heading}"|say }}}}</dt>' in drawn
            assert f"“{words.plain(heading)}”" in consent
    for of_one_door in (words.plain("page.stop"), "copied", "pasted", "three questions"):
        assert of_one_door not in consent


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_no_one_else_can_read_the_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        new(tmp_path / "c")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "c" / "secret.key").stat().st_mode) == 0o600


def test_two_campaigns_have_two_keys(tmp_path: Path) -> None:
    new(tmp_path / "a")
    new(tmp_path / "b")
    assert (tmp_path / "a" / "secret.key").read_bytes() != (tmp_path / "b" / "secret.key").read_bytes()


def test_a_folder_with_a_campaign_is_left_alone(tmp_path: Path) -> None:
    new(tmp_path / "c")
    before = {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    with pytest.raises(CampaignError, match=r"already holds a campaign\. Edit its campaign\.toml, or choose another"):
        new(tmp_path / "c")
    assert {path.name: path.read_bytes() for path in (tmp_path / "c").iterdir()} == before


def test_what_is_there_already_is_kept(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("ab" * 32 + "\n")
    (tmp_path / "consent.md").write_text("Ours.")
    assert [path.name for path in new(tmp_path)] == ["campaign.toml"]
    folder = open_folder(tmp_path)
    assert folder.key == b"\xab" * 32
    assert folder.consent_text() == "Ours."


def test_an_interrupted_new_is_finished_by_the_same_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, left = Path.write_text, [1]

    def stopped(path: Path, *args: object, **more: object) -> int:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return write(path, *args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", stopped)
        with pytest.raises(KeyboardInterrupt):
            new(tmp_path / "c")
    assert [path.name for path in new(tmp_path / "c")] == ["campaign.toml"]
    open_folder(tmp_path / "c")


def test_a_folder_that_cannot_be_made_is_an_error_in_our_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CampaignError, match=r"file/c cannot be made .* Choose a folder that can be written\.$"):
        new(tmp_path / "file" / "c")
