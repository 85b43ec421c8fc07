"""The runner's page: everything of a build can be read there, by nobody but him, and no text can disturb it."""

from __future__ import annotations

import html
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from imitable.commands.inspect import inspect
from imitable.commands.inspecting import Records, inspector
from imitable.commands.inspecting.door import link_to
from imitable.commands.inspecting.heat import draw, runs
from imitable.errors import BuildError, CampaignError, MissingExtra, PlatformError
from imitable.rounds import MadeTarget
from imitable.store import read_build, read_report, write_build
from imitable_aggregation import scoring

Started = Callable[..., str]
Client = Callable[[Path], TestClient]

SCRIPT = """
import sys
from pathlib import Path
from imitable.commands.inspect import inspect
inspect(Path(sys.argv[1]), target=sys.argv[2] or None, ready=lambda address: print(address, flush=True))
"""
HOSTILE = "</title><script>alert(1)</script>\"'&{{ 7*7 }}/../?id=#/mlp.0/3"
BIDI = "\u202eright\u200bto\u0000left\u2066"


@pytest.fixture
def inspecting() -> Iterator[Started]:
    """Start `inspect` in a process of its own; the address it tells."""
    running: list[subprocess.Popen[str]] = []

    def start(campaign: Path, target: str = "") -> str:
        command = [sys.executable, "-c", SCRIPT, str(campaign), target]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        out = running[-1].stdout
        assert out is not None
        return out.readline().strip()

    yield start
    for process in running:
        process.terminate()
        process.wait(timeout=20)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def client() -> Iterator[Client]:
    """The pages of DIR/build without a port, behind the token `secret`."""
    opened: list[TestClient] = []

    def build(folder: Path) -> TestClient:
        app = inspector(Records(folder), read_report(folder) or {}, "secret")
        opened.append(TestClient(app, base_url="http://127.0.0.1/secret/", follow_redirects=False))
        return opened[-1]

    yield build
    for one in opened:
        one.close()


def made_of(folder: Path) -> list[MadeTarget]:
    """The records of a build, target by target."""
    records = Records(folder)
    return [records.of(target_id) for target_id in records.targets]


def words(page: str) -> str:
    """What a page says, without its tags."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))


def test_only_who_knows_the_token_and_calls_this_machine_by_its_name_is_let_in(
    built_once: Path, inspecting: Started
) -> None:
    address = inspecting(built_once)
    parts = urlsplit(address)
    root, token = f"http://{parts.netloc}", parts.path.strip("/")
    assert parts.hostname == "127.0.0.1"
    assert len(token) >= 24
    opened = httpx.get(address)
    assert (opened.status_code, "<table" in opened.text) == (200, True)
    assert httpx.get(address, headers={"Host": f"localhost:{parts.port}"}).status_code == 200
    bare = [
        httpx.get(root),
        httpx.get(f"{root}/{token[:-1]}x/"),
        httpx.get(f"{root}/{token}x/static/app.css"),
        httpx.get(f"{root}/%C3%A9%00/"),
        httpx.get(f"{root}/?token={token}"),
        httpx.post(root),
        *(httpx.get(address, headers={"Host": host}) for host in ("evil.example", "127.0.0.1.evil.example", "[::1]")),
    ]
    for refused in bare:
        assert (refused.status_code, refused.text) == (404, "Not found\n")
        assert refused.headers["cache-control"] == "no-store"
    with socket.create_connection(("127.0.0.1", parts.port or 0)) as raw:
        raw.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n".encode())
        assert b" 200 " not in raw.recv(64)
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert httpx.request(method, address).status_code == 405
    assert httpx.head(address).status_code == 200
    assert token not in opened.text
    assert httpx.get(address.rstrip("/")).headers["location"] == f"/{token}/"


def test_the_address_leads_to_the_target_that_was_asked_for(built_once: Path, inspecting: Started) -> None:
    wanted = next(iter(Records(built_once / "build").targets))
    page = httpx.get(inspecting(built_once, wanted))
    assert f'<h1><bdi translate="no">{html.escape(wanted)}</bdi></h1>' in page.text


def test_every_answer_forbids_storing_foreign_content_scripts_framing_and_referrers(
    built_once: Path, client: Client
) -> None:
    http = client(built_once / "build")
    target_id = next(iter(Records(built_once / "build").targets))
    for path in ("", link_to(target_id), "static/app.css", "static/inspect.css", "static/icon.svg", "static/x.css",
                 "target?id=none", "static/../../door.py", "/elsewhere/"):  # fmt: skip
        answer = http.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script|\sstyle=|\son\w+=|(?:src|href)=\"(?:https?:)?//", answer.text)
        assert "set-cookie" not in answer.headers


def test_the_overview_shows_every_target_with_its_scale_and_its_truths(built_once: Path, client: Client) -> None:
    http = client(built_once / "build")
    page = http.get("").text
    report = read_report(built_once / "build")
    assert report is not None
    assert report["models"][0]["sha256"] in page
    assert all(html.escape(note, quote=False) in html.unescape(page) for note in report["notes"])
    for one in made_of(built_once / "build"):
        assert f'href="{link_to(one.target.target_id)}"' in page
        assert f"{one.target.l_ref:.2f}" in page
        assert f"{len(one.items)} truths from" in page
    first = re.findall(r'<th scope="row".*?<bdi[^>]*>(.*?)</bdi>', http.get("?sort=l_ref").text)
    rising = re.findall(r'<th scope="row".*?<bdi[^>]*>(.*?)</bdi>', http.get("?sort=l_ref&order=rising").text)
    by_l_ref = sorted(made_of(built_once / "build"), key=lambda one: one.target.l_ref)
    assert rising == first[::-1] == [one.target.target_id for one in by_l_ref]
    assert "No target holds “<bdi>&lt;b&gt;</bdi>”" in http.get("", params={"find": "<b>"}).text
    assert http.get("?sort=nothing&order=x&find=MLP.4").text.count('scope="row"') == 2


def test_a_targets_page_holds_every_item_with_truth_raw_activation_and_every_token(
    built_once: Path, client: Client
) -> None:
    http = client(built_once / "build")
    for one in made_of(built_once / "build"):
        page = http.get(link_to(one.target.target_id)).text
        cards = re.findall(r'<li class="example item">(.*?)</li>', page, flags=re.DOTALL)
        assert len(cards) == len(one.items)
        by_item = {item.item_id: (item, answer) for item, answer in zip(one.items, one.answers, strict=True)}
        truths, strata = [], []
        for card in cards:
            item, answer = by_item.pop(re.findall(r"<dd>(i_\w+)</dd>", card)[0])
            assert f"<dd>{answer.truth:.3f}".replace("-", "−") in card
            assert "The stored truth is not" not in card
            numbers = sorted(int(number) for number in re.findall(r'title="token (\d+):', card))
            assert numbers == list(range(len(item.offsets)))
            shown = words(re.findall(r'<p class="shaded".*?</p>', card, flags=re.DOTALL)[0])
            assert item.text.replace(" ", "")[:4] in shown.replace(" ", "")
            number = f"{answer.truth:.1f}".replace("-", "−").replace("−0.0", "0.0")
            assert f'<small dir="ltr">{number}</small>' in card
            truths.append((item.stratum, answer.truth))
            strata.append(item.stratum)
        assert not by_item
        order = list(dict.fromkeys(strata))
        assert strata == sorted(strata, key=order.index)
        of = {name: [truth for stratum, truth in truths if stratum == name] for name in order}
        means = [sum(numbers) / len(numbers) for numbers in of.values()]
        assert means == sorted(means, reverse=True)
        assert all(numbers == sorted(numbers, reverse=True) for numbers in of.values())
        assert page.count('<span class="role">') == len(one.examples)


def test_items_can_be_narrowed_by_split_and_stratum_and_numbered_at_every_token(
    built_once: Path, client: Client
) -> None:
    one = made_of(built_once / "build")[0]
    http, link = client(built_once / "build"), link_to(one.target.target_id)
    stratum = one.items[0].stratum
    for query, wanted in (
        ("&split=held_out", [item for item in one.items if item.split == "held_out"]),
        (f"&stratum={stratum}", [item for item in one.items if item.stratum == stratum]),
        ("&split=examples", []),
        ("&stratum=%3Cb%3E&page=-1", []),
        ("&page=999999&numbers=all", one.items),
    ):
        page = http.get(link + query).text
        assert set(re.findall(r"<dd>(i_\w+)</dd>", page)) == {item.item_id for item in wanted}
        assert ("<ruby>" in page) == ("numbers" in query)
        assert "<b>" not in words(page)


def test_no_id_text_stratum_or_reason_can_disturb_the_page(built_once: Path, tmp_path: Path, client: Client) -> None:
    one = made_of(built_once / "build")[0]
    item, answer = one.items[0], one.answers[0]
    text = f"<img src=x onerror=alert(2)>{BIDI}</p>"
    ends = [*range(1, len(text)), len(text)]
    offsets = tuple((end - 1, end) for end in ends)
    raw = (answer.activation,) * len(ends)
    target = replace(one.target, target_id=HOSTILE, selected_by="<i>;units")
    item = replace(item, target_id=HOSTILE, text=text, offsets=offsets, position=30, stratum="<u>active</u>")
    example = replace(
        one.examples[0], target_id=HOSTILE, text=text, offsets=offsets, position=3, values=(1.0,) * len(ends)
    )
    made = MadeTarget(target, (item,), (replace(answer, values=raw),), (example,))
    report = {
        "build_hash": "x",
        "campaign": "<s>",
        "models": [],
        "targets": 1,
        "items": 1,
        "notes": ["<s>"],
        "left_out": [{"target_id": "<s>", "reason": "<s>"}],
    }
    write_build(tmp_path / "build", [made], report)
    http = client(tmp_path / "build")
    overview = http.get("").text
    link = html.unescape(re.findall(r'<th scope="row"[^>]*><a href="(.*?)"', overview)[0])
    page = http.get(link).text
    for shown in (overview, page):
        assert not re.search(r"<(script|img|s|u|i)>|<img|49", shown)
        assert not set(BIDI) & set("\u202e\u200b\u0000\u2066") & set(shown)
    assert HOSTILE in words(page)
    assert "U+202E" in page
    assert 'title="RIGHT-TO-LEFT OVERRIDE"' in page
    assert http.get(link_to(HOSTILE)).status_code == 200


def test_a_truth_that_its_activations_do_not_give_is_pointed_out(
    built_once: Path, tmp_path: Path, client: Client
) -> None:
    one = made_of(built_once / "build")[0]
    answers = (replace(one.answers[0], truth=one.answers[0].truth + 0.01), *one.answers[1:])
    report = {"build_hash": "x", "models": [], "targets": 1, "items": len(answers), "left_out": [], "notes": []}
    write_build(tmp_path / "build", [replace(one, answers=answers)], report)
    page = client(tmp_path / "build").get(link_to(one.target.target_id)).text
    assert page.count("The stored truth is not") == 1


def test_long_pools_are_cut_into_pages_that_hold_every_item_once(
    built_once: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imitable.commands.inspecting.views.LARGEST_PAGE", 500)
    one = made_of(built_once / "build")[0]
    http, link = client(built_once / "build"), link_to(one.target.target_id)
    seen: list[str] = []
    while link:
        page = http.get(link).text
        seen += re.findall(r"<dd>(i_\w+)</dd>", page)
        link = html.unescape("".join(re.findall(r'<a href="([^"]*)">Weaker ›', page)))
    assert sorted(seen) == sorted(item.item_id for item in one.items)


def test_a_missing_build_a_damaged_one_and_a_new_one_say_what_to_do(
    tmp_path: Path, small_campaign: Path, client: Client
) -> None:
    with pytest.raises(BuildError, match=f"imitable build {re.escape(str(tmp_path))}"):
        inspect(tmp_path, ready=print)
    build = small_campaign / "build"
    http = client(build)
    target_id = next(iter(Records(build).targets))
    shutil.copytree(build, tmp_path / "other")
    (tmp_path / "other" / "report.json").replace(build / "report.json")
    answer = http.get(link_to(target_id))
    assert (answer.status_code, "start it again" in answer.text) == (500, True)
    (build / "truths.parquet").write_bytes(b"no")
    with pytest.raises(BuildError, match="run 'imitable build' again"):
        inspect(small_campaign, ready=print)


def test_an_unknown_target_names_those_like_it(built_once: Path) -> None:
    known = next(iter(Records(built_once / "build").targets))
    for asked in (known[:-1], known.split("/", 1)[1].upper(), known.replace("mlp", "mpl")):
        with pytest.raises(CampaignError, match=rf"Did you mean .*{re.escape(known)}.*imitable inspect"):
            inspect(built_once, target=asked, ready=print)
    with pytest.raises(CampaignError, match=r"has no target ''\. Copy an id"):
        inspect(built_once, target="", ready=print)


def test_a_taken_port_and_a_missing_extra_say_what_to_do(built_once: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PlatformError, match="--port"):
        inspect(built_once, port=taken.getsockname()[1], ready=print)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtra, match=r"pip install 'imitable\[serve\]'"):
        inspect(built_once, ready=print)


def test_texts_are_drawn_with_all_their_tokens_and_nothing_hidden() -> None:
    drawn = draw("Ab \n\u200d", [(0, 0), (0, 1), (0, 2), (2, 3), (3, 4), (4, 5)], [9, 8, -7.6, 1, 0, 2], 2, [1] * 6)
    assert [(mark.number, mark.shade, mark.focus) for mark in drawn.marks] == [
        (2, "cool-8", True), (3, "heat-1", False), (4, "", False), (5, "heat-2", False),
    ]  # fmt: skip
    assert [(mark.number, mark.value) for mark in drawn.hidden] == [(0, 9), (1, 8)]
    assert [run.kind for mark in drawn.marks for run in mark.core] == ["text", "space", "line", "code"]
    assert runs("a\u00a0é\ufe0f")[1:] == (("code", "U+00A0", "NO-BREAK SPACE"), ("text", "é\ufe0f", ""))


def test_a_build_is_read_as_the_store_reads_it(built_once: Path) -> None:
    whole = read_build(built_once / "build")
    made = made_of(built_once / "build")
    assert [one.target for one in made] == whole["targets"]
    assert sorted(item.item_id for one in made for item in one.items) == sorted(item.item_id for item in whole["items"])
    by_item = {answer.item_id: answer for answer in whole["truths"]}
    for one in made:
        assert list(one.answers) == [by_item[item.item_id] for item in one.items]
        tally = Records(built_once / "build").tallies[one.target.target_id]
        assert scoring.l_ref(tally.truths) > 0
        assert 0.25 <= tally.active <= 0.75
        assert tally.natural < tally.active
