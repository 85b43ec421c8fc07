"""A campaign with shared items behind the generated nginx, on a real Label Studio; one of its annotators has played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Server, missing
from label_studio_campaign import OnLabelStudio, with_key
from nginx_server import Nginx, program
from sqlalchemy import func, select

from imitable.game.label_studio import names
from imitable.platforms.label_studio.nginx import write_nginx_config
from imitable.rehearsal.label_studio import Account
from imitable.rehearsal.label_studio.accounts import logged_in
from imitable.store import tables
from label_studio_server import Bearer, LabelStudio, free_port

MARK = "what-only-the-first-one-wrote"
"""Stands in the first annotator's draft, annotation and answers."""


@dataclass
class Proxied:
    """A published campaign with shared items, of whose annotators the first has played an episode to its end."""

    campaign: OnLabelStudio
    game: Server
    nginx: Nginx

    @property
    def first(self) -> Account:
        return self.campaign.people[0]

    @property
    def second(self) -> Account:
        return self.campaign.people[1]

    @contextmanager
    def browser(self, who: Account) -> Iterator[httpx.Client]:
        """Somebody's browser, logged in through the proxy."""
        with logged_in(self.nginx.url, who) as client:
            client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
            yield client

    @contextmanager
    def program(self, who: Account) -> Iterator[httpx.Client]:
        """Somebody's program, with a token that Label Studio itself gave out."""
        auth = Bearer(self.campaign.real.url, who.token)
        with httpx.Client(base_url=self.nginx.url, auth=auth, trust_env=False, timeout=60) as client:
            yield client

    def tasks(self, who: Account) -> list[int]:
        """Numbers of somebody's tasks."""
        return [int(task.external_id) for task in self.campaign.tasks() if task.platform_id == who.email]

    def others(self) -> list[str]:
        """What must not be read by the second annotator: it stands in everything that is another's."""
        own = {self.second.email}
        return [
            MARK,
            *(one.email for one in self.campaign.people if one.email not in own),
            *(task.task_key for task in self.campaign.tasks() if task.platform_id not in own),
        ]


@contextmanager
def proxied_campaign(real: LabelStudio, home: Path) -> Iterator[Proxied]:
    """Publish, serve and proxy it in the folder `home`, and let the first annotator play."""
    if program() is None:
        missing("nginx")
    port = free_port()
    campaign = OnLabelStudio(home / "campaign", real, f"http://127.0.0.1:{port}", annotators=5)
    where = free_port()
    more = f'proxied = true\nannotators_per_target = 5\npublic_url = "http://127.0.0.1:{where}/"\n'
    settings = campaign.folder.path / "campaign.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("[platform.label_studio]\n", f"[platform.label_studio]\n{more}"), encoding="utf-8")
    with ExitStack() as to_end, pytest.MonkeyPatch.context() as patch:
        to_end.callback(real.close_clients)
        game = Server(campaign.folder.path, "--port", str(port))
        game.port = port
        to_end.callback(game.stop)
        with_key(patch, real)
        campaign.publish()
        write_nginx_config(campaign.folder, home / "imitable.conf", listen=f"127.0.0.1:{where}")
        nginx = Nginx(home / "nginx", home / "imitable.conf", where)
        to_end.callback(nginx.remove)
        whole = Proxied(campaign, game, nginx)
        with whole.browser(whole.first) as client:
            play(client, whole, ["5", "4", "3", "2", "1"], explanation=MARK)
        assert shared_items(campaign) > 0
        yield whole


def shared_items(campaign: OnLabelStudio) -> int:
    """Items that are in the episodes of two annotators or more."""
    query = select(tables.rounds.c.item_id).group_by(tables.rounds.c.item_id).having(func.count() > 1)
    with campaign.store() as store, store.read() as connection:
        return len(connection.execute(query).all())


def play(client: httpx.Client, whole: Proxied, guesses: list[str], *, explanation: str) -> list[Any]:
    """Play one's next task as the page does, from the list of tasks to the submission. Returns the page."""
    project = whole.campaign.project
    tabs = client.get("/api/dm/views", params={"project": project}).json()
    task = client.post(f"/api/dm/actions?id=next_task&tabID={tabs[0]['id']}&project={project}", json={}).json()
    draft = task["drafts"][0]["id"]
    backend = client.get("/api/ml", params={"project": project}).json()[0]["id"]
    page: list[Any] = []
    for box, typed in [(names.BEGIN, "yes"), *((names.guess(at + 1), text) for at, text in enumerate(guesses))]:
        result = {"value": {"text": [typed]}, "from_name": box, "to_name": "any", "type": "textarea"}
        asked = {"task": task["id"], "context": {"result": [result]}}
        page = client.post(f"/api/ml/{backend}/interactive-annotating", json=asked).json()["data"]["result"]
    page += whole.campaign.answer(explanation=explanation)
    kept = client.patch(f"/api/drafts/{draft}?project={project}", json={"result": page, "lead_time": 3})
    assert kept.status_code == 200, kept.text
    sent = {"result": page, "lead_time": 9, "draft_id": draft}
    made = client.post(f"/api/tasks/{task['id']}/annotations?project={project}", json=sent)
    assert made.status_code == 201, made.text
    return page
