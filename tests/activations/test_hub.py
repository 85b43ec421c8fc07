"""Models of the Hugging Face hub, from a hub on this machine that speaks as the real one does, or that is ill."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from building import builtin_model
from imitable.activations import load_model
from imitable.campaign import Model

COMMIT = "0123456789" * 4

LOADING = """
from pathlib import Path
from imitable.activations import load_model
from imitable.campaign import Model
from imitable.errors import ModelError
try:
    loaded = load_model(Model(path="somebody/stories"), base=Path())
    print(loaded.model_id, loaded.sha256)
except ModelError as error:
    print("ModelError", error)
"""


class Hub(ThreadingHTTPServer):
    """Has one model, somebody/stories: the built-in one."""

    ill = False
    """Answers everything with 503."""


class Door(BaseHTTPRequestHandler):
    """What the hub's API and its files look like from outside."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        file = builtin_model() / path.rpartition("/")[2]
        if self.server.ill:
            self.answer(503, b"", {})
        elif path.startswith("/api/models/somebody/stories") and "/tree/" not in path:
            names = ", ".join(f'{{"rfilename": "{each.name}"}}' for each in builtin_model().glob("*.*"))
            told = f'{{"id": "somebody/stories", "sha": "{COMMIT}", "siblings": [{names}]}}'
            self.answer(200, told.encode(), {"Content-Type": "application/json"})
        elif path.startswith("/somebody/stories/resolve/") and file.is_file():
            content = file.read_bytes()
            self.answer(200, content, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'})
        else:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})

    do_HEAD = do_GET  # noqa: N815  # the name that the library looks for

    def answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(("127.0.0.1", 0), Door) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def load_from(hub: Hub, cache: Path) -> str:
    """What a process of its own says that loads the model; the hub's library reads its settings once a process."""
    port = hub.server_address[1]
    settings = {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", LOADING], env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_model_of_the_hub_is_fetched_and_then_had_without_it(hub: Hub, tmp_path: Path) -> None:
    fetched = load_from(hub, tmp_path)
    assert fetched == f"somebody/stories {load_model(Model(path='builtin:stories260K'), base=tmp_path).sha256}"
    hub.ill = True
    assert load_from(hub, tmp_path) == fetched


def test_a_hub_that_is_ill_is_told_of_at_once(hub: Hub, tmp_path: Path) -> None:
    hub.ill = True
    start = time.monotonic()
    said = load_from(hub, tmp_path)
    assert said.startswith("ModelError There is no folder somebody/stories, and the Hugging Face hub does not answer")
    assert said.endswith("Give [model] path a local folder, or check the name and the network.")
    assert "503" in said
    assert time.monotonic() - start < 30  # of which most is imports; the library alone goes on for 50
