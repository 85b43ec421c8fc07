"""Personal links, and the contract that every platform keeps."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from imitable.campaign import open_folder
from imitable.commands.new import new
from imitable.commands.publish import publish
from imitable.errors import BuildError, CampaignError, PlatformError
from imitable.platforms import Platform
from imitable.platforms.web import WebLinks
from imitable.store import open_store
from imitable.testing import PlatformContract, invented_campaign


def read_links(folder: Path) -> list[dict[str, str]]:
    with (folder / "links.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestWebLinksKeepTheContract(PlatformContract):
    def platform(self) -> Platform:
        return WebLinks()


def test_by_default_there_are_as_many_links_as_the_campaign_needs(tmp_path: Path) -> None:
    invented_campaign(tmp_path, targets=3, episodes=2, annotators_per_target=4)
    done = publish(tmp_path)
    assert done.what.startswith("6 personal links")
    assert len({row["url"] for row in read_links(tmp_path)}) == 6


def test_links_are_unguessable_private_and_start_with_the_public_url(tmp_path: Path) -> None:
    invented_campaign(tmp_path, more='[serve]\npublic_url = "https://example.org/play/"\n')
    publish(tmp_path, places=2)
    urls = [row["url"] for row in read_links(tmp_path)]
    assert all(url.startswith("https://example.org/play/j/") and len(url.rpartition("/")[2]) == 32 for url in urls)
    assert (tmp_path / "links.csv").stat().st_mode & 0o077 == 0


def test_publishing_more_or_fewer_links_forgets_none(tmp_path: Path) -> None:
    invented_campaign(tmp_path)
    publish(tmp_path, places=2)
    first = read_links(tmp_path)
    publish(tmp_path, places=4)
    assert read_links(tmp_path)[:2] == first
    assert "links.csv keeps the 3 made before, too." in publish(tmp_path, places=1).notes
    assert len(read_links(tmp_path)) == 4


def test_codes_are_not_in_the_database(tmp_path: Path) -> None:
    invented_campaign(tmp_path)
    publish(tmp_path, places=1)
    [row] = read_links(tmp_path)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("campaign.db*"))
    assert row["url"].rpartition("/")[2].encode() not in stored


def test_an_unknown_platform_names_the_known_ones(tmp_path: Path) -> None:
    invented_campaign(tmp_path)
    with pytest.raises(PlatformError, match=r"no platform 'mturkish'.*Choose one of: .*web"):
        publish(tmp_path, platform="mturkish")


def test_a_campaign_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    new(tmp_path / "fresh")
    with pytest.raises(BuildError, match="imitable build"):
        publish(tmp_path / "fresh")


def test_a_campaign_whose_settings_changed_since_it_was_built_is_not_offered(tmp_path: Path) -> None:
    invented_campaign(tmp_path)
    toml = tmp_path / "campaign.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("held_out = 2", "held_out = 1"), encoding="utf-8")
    with pytest.raises(BuildError, match=r"changed since.*imitable build"):
        publish(tmp_path)


def test_simulated_links_stand_beside_peoples(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path)
    store = open_store(folder)
    WebLinks("simulated").publish(folder, store, places=2, dry_run=False)
    WebLinks().publish(folder, store, places=1, dry_run=False)
    store.close()
    assert sorted(row["platform"] for row in read_links(tmp_path)) == ["simulated", "simulated", "web"]


def test_publishing_says_what_the_runner_must_know_of_addresses_pay_and_consent(tmp_path: Path) -> None:
    invented_campaign(tmp_path / "a", more='[pay]\nbase = "3.00"\n')
    said = " ".join(publish(tmp_path / "a", places=1).notes)
    assert "open on this machine only" in said
    assert "You hand over what [pay] promises" in said
    assert "lab@example.org" not in said
    invented_campaign(tmp_path / "b", consent="Read this.")
    (tmp_path / "b" / "consent.md").unlink()
    with pytest.raises(CampaignError, match=r"consent\.md named in campaign\.toml"):
        publish(tmp_path / "b")


def test_the_contact_that_a_new_campaign_brings_is_asked_to_be_replaced(tmp_path: Path) -> None:
    new(tmp_path / "new")
    contact = open_folder(tmp_path / "new").config.study.contact
    invented_campaign(tmp_path / "c")
    toml = tmp_path / "c" / "campaign.toml"
    toml.write_text(
        toml.read_text(encoding="utf-8").replace("[study]\n", f'[study]\ncontact = "{contact}"\n'), encoding="utf-8"
    )
    assert any("[study] contact" in note for note in publish(tmp_path / "c", places=1).notes)
