"""`imitable label-studio up` and `down`: a stock server that is found again, and nothing else that is ever stopped."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from imitable.errors import PlatformError
from imitable.rehearsal.label_studio import Installation, down, up
from imitable.rehearsal.label_studio.accounts import read_accounts, write_accounts
from imitable.rehearsal.label_studio.process import begin_database, find, start
from label_studio_server import Bearer, free_port, installed

if TYPE_CHECKING:
    from label_studio_server import LabelStudio

pytestmark = pytest.mark.xdist_group("label-studio")


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    command = [sys.executable, "-m", "imitable", "label-studio", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environ)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server, which is stopped after the test."""
    installed()
    yield tmp_path / "data"
    down(tmp_path / "data")


def test_up_says_who_plays_where_and_finds_it_all_again(data: Path) -> None:
    options = ("--data", str(data), "--annotators", "2")
    first = run("up", *options, "--port", str(free_port()))
    assert first.returncode == 0, first.stderr
    admin, players = read_accounts(data / "admin.csv"), read_accounts(data / "accounts.csv")
    assert [one.email for one in admin] == ["admin@example.com"]
    assert [one.email for one in players] == ["annotator-1@example.com", "annotator-2@example.com"]
    for path in ("admin.csv", "accounts.csv", "server.json", "server.log"):
        assert stat.S_IMODE((data / path).stat().st_mode) == 0o600, path
    url = next(word for word in first.stdout.split() if word.startswith("http://"))
    assert f"export LABEL_STUDIO_API_KEY={admin[0].token}" in first.stdout
    assert "imitable publish" in first.stdout
    assert f'url = "{url}"' in first.stdout
    for one in (*admin, *players):
        assert one.password in first.stdout
        me = httpx.get(f"{url}/api/current-user/whoami", auth=Bearer(url, one.token), trust_env=False)
        assert me.json()["email"] == one.email

    again = run("up", *options)
    assert again.returncode == 0
    assert "Running already" in again.stdout
    assert run("down", "--data", str(data)).stdout.startswith("Stopped")
    assert run("down", "--data", str(data)).stdout.startswith("No Label Studio runs")
    third = run("up", *options)
    assert third.stdout.replace("Started", "Running already:").endswith(again.stdout)
    assert (read_accounts(data / "admin.csv"), read_accounts(data / "accounts.csv")) == (admin, players)


def test_a_server_that_was_killed_comes_back_with_everything_in_it(own_label_studio: LabelStudio) -> None:
    project = own_label_studio.project()
    running = find(own_label_studio.data)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    again = up(own_label_studio.data, annotators=0)
    assert again.url == own_label_studio.url
    assert again.admin == own_label_studio.admin
    assert own_label_studio.client().get(f"/api/projects/{project}").status_code == 200


@pytest.mark.postgresql
def test_on_postgresql_a_server_keeps_everything_there(label_studio_on_postgresql: LabelStudio) -> None:
    project = label_studio_on_postgresql.project()
    label_studio_on_postgresql.stop()
    label_studio_on_postgresql.start()
    assert label_studio_on_postgresql.client().get(f"/api/projects/{project}").status_code == 200
    assert not list(label_studio_on_postgresql.data.glob("*.sqlite3"))


def test_accounts_that_were_half_made_are_finished(own_label_studio: LabelStudio) -> None:
    """A token is shown once; where it was not written down in time, it is withdrawn, and another made."""
    [player] = own_label_studio.accounts(1)
    for path in (own_label_studio.data / "admin.csv", own_label_studio.data / "accounts.csv"):
        write_accounts(path, [replace(one, token="") for one in read_accounts(path)])
    made = up(own_label_studio.data, annotators=0)
    for one in (made.admin, *made.annotators):
        me = httpx.get(f"{made.url}/api/current-user/whoami", auth=Bearer(made.url, one.token), trust_env=False)
        assert me.json()["email"] == one.email
    assert [one.password for one in made.annotators] == [player.password]


def test_only_our_own_server_is_ever_stopped(data: Path) -> None:
    """What has the same words on its command line, and what has the same data elsewhere, lives on."""
    words = ["start", "--no-browser", "--data-dir", str(data), "--internal-host", "127.0.0.1", "--port", "8080"]
    sleep = "import time; time.sleep(60)"
    foreign = [
        subprocess.Popen([sys.executable, "-c", sleep, "label-studio", *words]),
        subprocess.Popen([sys.executable, "-c", sleep, *words[:3], str(data.parent), *words[4:]]),
    ]
    try:
        assert not down(data)
        assert [one.poll() for one in foreign] == [None, None]
    finally:
        for one in foreign:
            one.kill()
            one.wait()


def test_a_port_that_is_taken_is_named(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = run("up", "--data", str(data), "--port", str(port))
    assert shown.returncode == 1
    assert f"Port {port} is taken" in shown.stderr
    assert "--port" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("url", ["mysql://root@localhost/ls", "nonsense", "postgresql://localhost"])
def test_an_address_of_no_postgresql_database_is_refused(data: Path, url: str) -> None:
    with pytest.raises(PlatformError, match="postgresql://user:password@host:port/name"):
        up(data, postgres=url, port=free_port())


def test_a_database_that_does_not_answer_is_said(data: Path) -> None:
    with pytest.raises(PlatformError, match=r"server\.log"):
        up(data, postgres=f"postgresql://nobody@127.0.0.1:{free_port()}/nothing", port=free_port())


def test_a_server_keeps_its_database(label_studio: LabelStudio) -> None:
    with pytest.raises(PlatformError, match="Leave out --postgres"):
        up(label_studio.data, postgres="postgresql://me@localhost/other")


def test_a_folder_with_somebody_elses_label_studio_is_left_alone(data: Path) -> None:
    data.mkdir()
    (data / "label_studio.sqlite3").write_bytes(b"theirs")
    with pytest.raises(PlatformError, match="--data"):
        up(data)
    assert [path.name for path in data.iterdir()] == ["label_studio.sqlite3"]


def test_an_installation_that_fails_says_why_and_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    installation = Installation(tmp_path / "1.23.2")
    with pytest.raises(PlatformError, match="No matching distribution") as told:
        installation.prepare(lambda _: None)
    assert "install.log" in str(told.value)
    assert not installation.database.exists()


def test_nobody_gets_in_without_an_invitation_or_with_a_legacy_token(label_studio: LabelStudio) -> None:
    with httpx.Client(base_url=label_studio.url, trust_env=False) as stranger:
        stranger.get("/user/signup/")
        form = {"email": "stranger@example.com", "password": "long-enough-1", "allow_newsletters": "false"}
        form["csrfmiddlewaretoken"] = stranger.cookies["csrftoken"]
        headers = {"Referer": f"{label_studio.url}/user/signup/"}
        assert stranger.post("/user/signup/", data=form, headers=headers).status_code == 403
    assert label_studio.client().get("/api/jwt/settings").json()["legacy_api_tokens_enabled"] is False
    page = httpx.get(f"{label_studio.url}/user/login/", trust_env=False).text
    assert "sentry" not in page.lower().replace("sentry_", "")


def test_the_server_calls_nobody(data: Path, tmp_path: Path) -> None:
    """All it would ask goes through a proxy that keeps a list; with analytics on, the list is not empty."""
    asked = _start_behind_a_list(tmp_path / "loud", {"COLLECT_ANALYTICS": "true", "LATEST_VERSION_CHECK": "true"})
    assert asked
    assert _start_behind_a_list(data, {}) == []


def _start_behind_a_list(data: Path, settings: dict[str, str]) -> list[str]:
    asked: list[str] = []

    class Keeps(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        do_GET = do_POST = do_CONNECT  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    installation = Installation()
    data.mkdir()
    begin_database(installation, data)
    with ThreadingHTTPServer(("127.0.0.1", 0), Keeps) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        through = f"http://127.0.0.1:{proxy.server_port}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        who = {"LABEL_STUDIO_USERNAME": "admin@example.com", "LABEL_STUDIO_PASSWORD": "long-enough-1"}
        running = start(installation, data, port=free_port(), settings=dict.fromkeys(names, through) | who | settings)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{running.port}", trust_env=False, timeout=60) as client:
                client.get("/user/login/")
                form = {"email": "admin@example.com", "password": "long-enough-1"}
                form["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
                headers = {"Referer": str(client.base_url)}
                assert client.post("/user/login/", data=form, headers=headers).is_redirect
                for path in ("/projects/", "/api/version", "/api/projects", "/user/account"):
                    client.get(path)
        finally:
            down(data)
            proxy.shutdown()
    return asked
