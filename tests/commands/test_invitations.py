"""What `imitable serve` tells the runner to give to each platform."""

from __future__ import annotations

from pathlib import Path

from imitable.commands.invitations import invitations
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
