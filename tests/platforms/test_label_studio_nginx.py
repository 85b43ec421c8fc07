"""The generated nginx before a real Label Studio: annotators play, and no one can do or read anything else.

Items are shared here, and what was revealed to one stays in Label Studio: nothing of anybody else's may come through.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import httpx
import pytest
from label_studio_campaign import any_door
from label_studio_proxied import Proxied, play, proxied_campaign

from imitable.errors import PlatformError
from imitable.game.label_studio import allowing, names
from imitable.platforms.label_studio.nginx import nginx_config, write_nginx_config
from imitable.testing import invented_campaign
from label_studio_server import Bearer, LabelStudio, addresses_of_label_studio
from wire import Wire

pytestmark = pytest.mark.xdist_group("label-studio")

_JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def proxied(_label_studio_on_sqlite: LabelStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with proxied_campaign(_label_studio_on_sqlite, tmp_path_factory.mktemp("proxied")) as made:
        yield made


def test_an_annotator_plays_a_whole_episode_through_the_proxy(proxied: Proxied) -> None:
    third = proxied.campaign.people[2]
    before = len(proxied.campaign.guesses())
    with proxied.browser(third) as client:
        page = play(client, proxied, ["1", "2", "3", "4", "5"], explanation="trees")
        assert {one["from_name"] for one in page} >= {names.done(trial) for trial in range(1, 6)}
        left = client.post(f"/api/dm/actions?id=next_task&project={proxied.campaign.project}", json={}).json()
        assert left["id"] in proxied.tasks(third)  # the next episode
    assert len(proxied.campaign.guesses()) == before + 5


def test_everybody_is_sent_to_the_proxy(proxied: Proxied) -> None:
    with (proxied.campaign.folder.path / "label-studio.csv").open(encoding="utf-8", newline="") as file:
        addresses = {row["email"]: row["url"] for row in csv.DictReader(file)}
    own = addresses[proxied.second.email]
    assert own.startswith(f"{proxied.nginx.url}/projects/{proxied.campaign.project}/data?tab=")
    with httpx.Client(trust_env=False) as stranger:
        assert "/user/login/" in stranger.get(own).headers["location"]
    with proxied.browser(proxied.second) as client:
        assert client.get(own).status_code == 200


def test_lists_show_everybody_only_what_is_his(proxied: Proxied) -> None:
    mine, project = proxied.tasks(proxied.second), proxied.campaign.project
    with proxied.browser(proxied.second) as client:
        tabs = client.get("/api/dm/views", params={"project": project}).json()
        assert [tab["data"]["title"] for tab in tabs] == [proxied.second.email]
        listed = client.get("/api/tasks", params={"project": project, "page": 1, "page_size": 30, "fields": "all"})
        assert [row["id"] for row in listed.json()["tasks"]] == mine
        assert client.get("/api/users").json() == []
        assert client.get("/api/projects", params={"page_size": 10}).json()["results"] == []
        assert client.get(f"/api/projects/{project}").json()["id"] == project
        assert client.get("/api/projects/1000000").json()["id"] == project
        for task in mine:
            assert client.get(f"/api/tasks/{task}").json()["id"] == task


def test_no_request_however_it_is_dressed_up_brings_anything_of_anothers(proxied: Proxied) -> None:
    """Every one of these gives the other's task away where nothing stands before Label Studio, or tries to."""
    other, project = proxied.tasks(proxied.first)[0], proxied.campaign.project
    everything = {"selectedItems": {"all": True, "excluded": []}, "ordering": ["tasks:id"]}
    only_that = {"selectedItems": {"all": False, "included": [other]}}
    tab = next(
        view["id"]
        for view in proxied.campaign.real.client().get("/api/dm/views", params={"project": project}).json()
        if view["data"]["title"] == proxied.first.email
    )
    query, spoofed = json.dumps(only_that), {"X-Imitable-About": "", "X-Imitable-Tasks": str(other)}
    raw = [
        f"/api/tasks/{other}", f"/api/tasks/{other}/", f"/api/tasks/{other}?project={project}",
        f"//api//tasks//{other}", f"/api/./tasks/x/../{other}", f"/api/%74asks/{other}",
        f"/static/..%2fapi/tasks/{other}", f"/static/%2e%2e/api/tasks/{other}", f"/api/tasks/{other}/..%2f{other}",
        f"/api/tasks/{other};a=b", f"/api/tasks/{other}%00", f"/api/tasks/{other}.json", f"/API/tasks/{other}",
        f"/api/tasks?project={project}&view={tab}&page=1&page_size=30&fields=all",
        f"/api/tasks?project={project}&page=1&page_size=30&query={query}",
        f"/api/tasks?page=1%26query={query}&page_size=30", f"/api/tasks?page=1&page_size=30%26view%3D{tab}",
        f"/api/dm/views/{tab}", f"/api/dm/views/?project={project}", "/api/dm/views.json", "/api/users.json",
        f"/api/projects/{project}/export?exportType=JSON", f"/api/projects/{project}/tasks/",
        f"/api/tasks/{other}/annotations", f"/api/tasks/{other}/drafts", "/api/predictions", "/api/webhooks",
        f"/projects/{project}/data?task={other}", "/api/organizations", "/user/account", "/admin/", "/docs/api/",
        "/imitable-may", "/imitable-may-see-task", "/imitable-may-change-draft", "/imitable-may-ask-backend",
        names.DOOR + "/proxy/tabs",
    ]  # fmt: skip
    with proxied.browser(proxied.second) as browser, proxied.program(proxied.second) as script:
        answers = [
            client.request("GET", httpx.URL(browser.base_url.join("/").copy_with(raw_path=path.encode())), headers=more)
            for client in (browser, script)
            for path in raw
            for more in ({}, spoofed)
        ]
        for client in (browser, script):
            answers += [
                client.request("GET", "/api/tasks", params={"page": 1, "page_size": 30}, json={"view": tab}),
                client.get(f"/api/tasks/{other}", headers={"X-Api-Key": proxied.first.token}),
                client.post(f"/api/dm/actions?id=next_task&project={project}&tabID={tab}", json=only_that),
                client.post(f"/api/dm/actions?id=next_task&project={project}&view={tab}", json=everything),
                client.post(f"/api/dm/actions?id=next_task&id=delete_tasks&project={project}", json=only_that),
                client.post(f"/api/dm/actions?id=delete_tasks&project={project}", json=only_that),
                client.post(f"/api/tasks/{other}/drafts", json={"result": []}),
                client.post(f"/api/tasks/{other}/annotations", json={"result": []}),
                client.get("/api/users", headers={"X-HTTP-Method-Override": "DELETE"}),
            ]
    others = proxied.others()
    for answer in answers:
        assert not [what for what in others if what in answer.text], (answer.request.method, str(answer.request.url))
    assert len(proxied.campaign.there()) == len(proxied.campaign.tasks())


def test_nothing_of_anothers_can_be_changed_and_nothing_of_ones_own_but_drafts(proxied: Proxied) -> None:
    admin, project = proxied.campaign.real.client(), proxied.campaign.project
    [annotation] = admin.get(f"/api/tasks/{proxied.tasks(proxied.first)[0]}/annotations").json()
    theirs = admin.get(f"/api/tasks/{proxied.tasks(proxied.first)[1]}/drafts").json()[0]["id"]
    mine = proxied.tasks(proxied.second)[0]
    backend = {"url": "http://127.0.0.1:1", "project": project, "title": "mine"}
    with proxied.browser(proxied.second) as client:
        refused = [
            client.patch(f"/api/annotations/{annotation['id']}", json={"result": []}),
            client.delete(f"/api/annotations/{annotation['id']}"),
            client.patch(f"/api/drafts/{theirs}", json={"result": []}),
            client.delete(f"/api/drafts/{theirs}"),
            client.patch(f"/api/tasks/{mine}", json={"data": {names.ANNOTATOR: "me"}}),
            client.delete(f"/api/tasks/{mine}"),
            client.patch(f"/api/projects/{project}", json={"title": "mine now"}),
            client.delete(f"/api/projects/{project}"),
            client.post("/api/ml", json=backend),
            client.post("/api/webhooks", json={"url": "http://127.0.0.1:1/hook", "project": project}),
            client.post("/api/jwt/settings", json={"legacy_api_tokens_enabled": True}),
            client.post("/api/token"),
            client.post("/api/users", json={"email": "new@example.com"}),
        ]
        own = client.get(f"/api/tasks/{mine}").json()["drafts"][0]["id"]
        assert client.patch(f"/api/drafts/{own}", json={"result": []}).status_code == 200
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert admin.get(f"/api/annotations/{annotation['id']}").json()["result"] == annotation["result"]
    assert len(admin.get("/api/ml", params={"project": project}).json()) == 1


def test_of_all_addresses_of_label_studio_only_those_of_the_list_answer(proxied: Proxied, tmp_path: Path) -> None:
    """Label Studio names its own addresses, 349 in 1.23.2. Each is asked in every way, about another's task."""
    other, project = proxied.tasks(proxied.first)[0], proxied.campaign.project
    [backend] = proxied.campaign.real.client().get("/api/ml", params={"project": project}).json()
    answered, others = set(), proxied.others()
    with proxied.browser(proxied.second) as client:
        for address in addresses_of_label_studio(tmp_path):
            number = {"projects": project, "ml": backend["id"]}.get(address.removeprefix("/api").split("/")[1], other)
            path = re.sub(r"<(?:[a-z_]+:)?(?:pk|project_id)>", str(number), address)
            path = re.sub(r"<[^<>]*>", "1", path).rstrip("/")
            for method, end in product(("GET", "POST", "PUT", "PATCH", "DELETE"), ("", "/")):
                answer = client.request(method, path + end, params={"project": project})
                if answer.status_code not in (403, 404, 405):
                    answered.add(f"{method} {address.rstrip('/')}")
                assert not [what for what in others if what in answer.text], (method, path)
                if path == "/logout":
                    with proxied.browser(proxied.second) as again:
                        client.cookies = again.cookies
    assert answered == {
        *("GET ", "GET /favicon.ico", "GET /sw.js", "GET /sw-fallback.js"),
        *("GET /react-app/<path>", "GET /static/fonts/roboto/roboto.css"),
        *("GET /user/login", "GET /user/signup", "GET /logout", "POST /logout"),
        *("GET /projects/<int:pk>", "GET /projects/<int:pk>/data"),
        *("GET /api/version", "GET /api/current-user/whoami", "GET /api/projects", "GET /api/projects/<int:pk>"),
        *("GET /api/projects/<int:pk>/label-stream-history", "GET /api/ml", "GET /api/users", "GET /api/label_links"),
        *("GET /api/dm/columns", "GET /api/dm/project", "GET /api/dm/views", "GET /api/tasks"),
        "POST /api/ml/<int:pk>/interactive-annotating",
    }


def test_who_is_not_of_the_campaign_gets_nothing(proxied: Proxied) -> None:
    """The admin too: who runs a campaign goes to Label Studio itself."""
    real, task = proxied.campaign.real, proxied.tasks(proxied.first)[0]
    paths = ["/api/tasks?page=1&page_size=30", f"/api/tasks/{task}", "/api/dm/views", "/api/current-user/whoami"]
    for who in (real.admin, *real.accounts(1)):
        with proxied.browser(who) as client:
            assert [client.get(path).status_code for path in paths] == [403] * len(paths)
            assert client.post("/api/dm/actions?id=next_task", json={}).status_code == 403
    with httpx.Client(base_url=proxied.nginx.url, trust_env=False) as stranger:
        assert [stranger.get(path).status_code for path in paths] == [401] * len(paths)
        headers = {"Authorization": "Bearer nonsense", "Cookie": "sessionid=nonsense"}
        assert [stranger.get(path, headers=headers).status_code for path in paths] == [401] * len(paths)


def test_whose_task_it_is_says_our_record_and_not_the_task(proxied: Proxied) -> None:
    task = proxied.tasks(proxied.first)[0]
    admin = proxied.campaign.real.client()
    before = admin.get(f"/api/tasks/{task}").json()["data"]
    changed = before | {names.ANNOTATOR: proxied.second.email}
    assert admin.patch(f"/api/tasks/{task}", json={"data": changed}).status_code == 200
    try:
        with proxied.browser(proxied.second) as client:
            assert client.get(f"/api/tasks/{task}").status_code == 403
            listed = client.get("/api/tasks", params={"page": 1, "page_size": 30}).json()["tasks"]
            assert [row["id"] for row in listed] == proxied.tasks(proxied.second)
        with proxied.browser(proxied.first) as client:
            assert client.get(f"/api/tasks/{task}").status_code == 200
    finally:
        admin.patch(f"/api/tasks/{task}", json={"data": before})


def test_nobody_but_the_proxy_may_ask_whose_a_task_is(proxied: Proxied) -> None:
    with httpx.Client(base_url=proxied.game.address, trust_env=False) as client:
        for path in (allowing.MAY, allowing.TABS):
            assert client.get(path).status_code == 404
            assert client.get(path, headers={allowing.SECRET: "nonsense"}).status_code == 404
        known = {allowing.SECRET: allowing.secret(proxied.campaign.folder)}
        assert client.get(allowing.MAY, headers=known).status_code == 401
        auth = Bearer(proxied.campaign.real.url, proxied.first.token)
        for about in ("task", "task x", "task 1 2", "draft x", "draft 0", "draft 99999999", "else 1"):
            said = client.get(allowing.MAY, headers=known | {allowing.ABOUT: about}, auth=auth)
            assert said.status_code == 403, about


def test_while_the_game_is_down_nothing_is_passed_on(proxied: Proxied) -> None:
    task = proxied.tasks(proxied.second)[0]
    with proxied.browser(proxied.second) as client:
        assert client.get(f"/api/tasks/{task}").status_code == 200
        proxied.game.stop()
        try:
            answers = [client.get(f"/api/tasks/{task}"), client.get("/api/dm/views"), client.get("/api/version")]
        finally:
            proxied.game.start()
        assert [answer.status_code for answer in answers] == [500, 502, 500]
        assert client.get(f"/api/tasks/{task}").status_code == 200


def test_what_nginx_could_not_do_is_refused(tmp_path: Path) -> None:
    folder = invented_campaign(tmp_path / "a")
    with pytest.raises(PlatformError, match=r"\[platform.label_studio\]"):
        nginx_config(folder)
    under = invented_campaign(
        tmp_path / "b", more='[platform.label_studio]\nurl = "https://example.org/label-studio"\n'
    )
    with pytest.raises(PlatformError, match="an address of its own"):
        nginx_config(under)
    well = invented_campaign(tmp_path / "c", more='[platform.label_studio]\nurl = "https://ls.example.org"\n')
    assert "server ls.example.org:443;" in nginx_config(well)
    with pytest.raises(PlatformError, match="Name a port"):
        nginx_config(well, listen="80; include /etc/passwd")
    with pytest.raises(PlatformError, match="Choose another file"):
        write_nginx_config(well, tmp_path / "nowhere" / "file")
    write_nginx_config(well, tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_nobody_answers_in_anothers_name_and_is_told_who_that_is(proxied: Proxied) -> None:
    mine, auth = proxied.tasks(proxied.second)[1], Bearer(proxied.campaign.real.url, proxied.first.token)
    with httpx.Client(base_url=proxied.campaign.real.url, auth=auth, trust_env=False) as client:
        first = client.get("/api/current-user/whoami").json()["id"]
    number = str(first)
    with proxied.browser(proxied.second) as client:
        where = f"/api/tasks/{mine}/annotations"
        told = [
            client.post(where, json={"result": [], "completed_by": first}),
            client.post(where, content=f'{{"result": [], "completed\\u005fby": {number}}}', headers=_JSON),
            client.post(where, content=f'{{"result": [], "\\u0063ompleted_\\u0062y": {number}}}', headers=_JSON),
            client.post(where, content=f'{{"x": "{"x" * 1_500_000}", "completed_by": {number}}}', headers=_JSON),
            client.post(where, data={"result": "[]", "completed_by": number}),
            client.post(where, files={"result": (None, "[]"), "completed_by": (None, number)}),
        ]
        assert [answer.status_code for answer in told] == [400] * len(told)
        assert not [what for answer in told for what in proxied.others() if what in answer.text]
        assert client.get(f"/api/tasks/{mine}").json()["annotations"] == []


def test_backends_of_other_projects_answer_nobody(proxied: Proxied) -> None:
    real = proxied.campaign.real
    project = real.project()
    with any_door() as elsewhere:
        said = real.client().post(
            "/api/ml", json={"url": elsewhere, "project": project, "title": "theirs", "is_interactive": True}
        )
        task = real.client().post("/api/tasks/", json={"data": {"text": "theirs"}, "project": project}).json()["id"]
        asked = {"task": task, "context": {"result": []}}
        with proxied.browser(proxied.second) as client:
            for number in (said.json()["id"], 0, 10**6):
                assert client.post(f"/api/ml/{number}/interactive-annotating", json=asked).status_code == 403


def test_no_path_brings_a_line_of_its_own_to_label_studio(proxied: Proxied) -> None:
    project, log = proxied.campaign.project, proxied.nginx.log
    before = len(log.read_text(encoding="utf-8"))
    for path in ("/static/x", f"/projects/{project}", f"/projects/{project}/data", "/user/login", "/sw.js", "/"):
        for end in ("%0a", "%0d%0a", "%0a%20HTTP/1.1%0d%0aX-A:%20b%0d%0a"):
            head = f"GET {path}{end}?a=b HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"
            assert Wire(proxied.nginx.port).send(head.encode(), patience=10).raw.startswith(b"HTTP/1.1 "), path
    assert "upstream" not in log.read_text(encoding="utf-8")[before:]
