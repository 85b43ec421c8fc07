"""Exports on S3: a real server that speaks its protocol (moto's), with a layer that refuses, fails and kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from typer.testing import CliRunner
from werkzeug.serving import make_server

from imitable.activations.corpus import read_corpus
from imitable.campaign import Corpus
from imitable.cli.app import app
from imitable.commands.buckets import PART, Bucket
from imitable.commands.export import export
from imitable.commands.rank import rank
from imitable.errors import MissingExtra, TablesError
from imitable.store import open_store
from imitable.testing import invented_campaign
from imitable_aggregation.export import write_folder
from imitable_aggregation.sources import input_hash
from playing import Table

WHERE = "s3://lab/first/guesses"
FILES = ["datapackage.json", "episodes_played.csv", "exposures.csv", "guesses.csv", "guesses.parquet", "targets.csv"]
REFUSAL = "<Error><Code>{code}</Code><Message>the server said so</Message></Error>"


class S3:
    """moto's S3 server on a port of its own, with something before it."""

    def __init__(self) -> None:
        self.moto: Any = DomainDispatcherApplication(create_backend_app)
        self.seen: list[tuple[str, str]] = []
        self.strike: Callable[[str, str], str | None] = lambda _method, _path: None
        """Told of every request; what it returns is answered as an error with this code."""
        self.server = make_server("127.0.0.1", 0, self.serve, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def serve(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.seen.append((method, f"{path}?{environ['QUERY_STRING']}"))
        code = self.strike(method, path)
        if code is None:
            return self.moto(environ, start)
        start("503 Slow Down" if code == "SlowDown" else "403 Forbidden", [("Content-Type", "application/xml")])
        return [REFUSAL.format(code=code).encode()]

    def names(self) -> list[str]:
        """What lies in the bucket under the export's prefix."""
        pages = boto3.session.Session().client("s3").list_objects_v2(Bucket="lab", Prefix="first/").get("Contents", [])
        return [one["Key"].removeprefix("first/guesses/") for one in pages]


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    made = S3()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.fixture
def s3(server: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3:
    """The server, with one empty bucket `lab`, and nothing of this machine's own settings."""
    for name in [one for one in os.environ if one.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "sham",
        "AWS_SECRET_ACCESS_KEY": "sham",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws-credentials"),
        "AWS_MAX_ATTEMPTS": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    server.strike = lambda _method, _path: None
    client = boto3.client("s3")
    if any(one["Name"] == "lab" for one in client.list_buckets()["Buckets"]):
        for one in client.list_objects_v2(Bucket="lab").get("Contents", []):
            client.delete_object(Bucket="lab", Key=one["Key"])
    else:
        client.create_bucket(Bucket="lab")
    server.seen.clear()
    return server


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[Path]:
    """An invented campaign with guesses in it."""
    folder = invented_campaign(tmp_path / "campaign")
    store = open_store(folder)
    table = Table(folder, store, 4)
    for link in range(4):
        table.play(table.sit(link), str(2 + link))
    yield folder.path
    store.close()


def test_an_export_lies_on_s3_whole_and_its_descriptor_came_last(s3: S3, campaign: Path, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["export", str(campaign), "--out", WHERE])
    assert shown.exit_code == 0, shown.output
    assert f"imitable rank {WHERE} --out RESULTS" in " ".join(shown.output.split())
    assert s3.names() == FILES
    puts = [path for method, path in s3.seen if method in ("PUT", "POST")]
    assert "datapackage.json" in puts[-1]
    export(campaign, out=tmp_path / "here")
    for name in FILES:
        got = boto3.client("s3").get_object(Bucket="lab", Key=f"first/guesses/{name}", ChecksumMode="ENABLED")
        assert got["Body"].read() == (tmp_path / "here" / name).read_bytes()
        assert got["ChecksumSHA256"]


def test_what_lies_on_s3_is_ranked_like_a_folder(s3: S3, campaign: Path, tmp_path: Path) -> None:
    export(campaign, out=WHERE)
    export(campaign, out=tmp_path / "here")
    found = rank(f"{WHERE}/", out=tmp_path / "results")
    read = [tmp_path / "here" / name for name in ("guesses.csv", "targets.csv", "episodes_played.csv")]
    assert json.loads((tmp_path / "results" / "fit.json").read_text())["input_sha256"] == input_hash(read)
    assert len(found.ranking) == 3


def test_a_large_file_goes_in_parts_each_with_its_checksum_and_comes_back_the_same(s3: S3, tmp_path: Path) -> None:
    rows = pd.DataFrame({"number": range(PART // 4), "text": "0123456789"})
    write_folder(tmp_path / "large", {"rows.csv": rows}, name="large", title="Large")
    Bucket("s3://lab/large").write(tmp_path / "large")
    parts = [path for method, path in s3.seen if method == "PUT" and "partNumber" in path]
    assert len(parts) == -(-(tmp_path / "large" / "rows.csv").stat().st_size // PART) >= 3
    with Bucket("s3://lab/large").fetched() as folder:
        assert (folder / "rows.csv").read_bytes() == (tmp_path / "large" / "rows.csv").read_bytes()


@pytest.mark.parametrize("kills", [[0, 5], pytest.param([0, 1, 2, 3, 4, 5, 3, 0], marks=pytest.mark.long)])
def test_an_export_that_is_killed_leaves_nothing_that_looks_complete(s3: S3, campaign: Path, kills: list[int]) -> None:
    """Killed at this request of those that change something; the last one is the descriptor's."""
    for at in kills:
        killed_at(at, s3, campaign)
        with (
            pytest.raises(TablesError, match="nothing was exported there, or not all of it yet"),
            Bucket(WHERE).fetched(),
        ):
            pass
    export(campaign, out=WHERE)
    killed_at(1, s3, campaign)  # an earlier export is there no longer, and this one is not yet
    assert "datapackage.json" not in s3.names()
    export(campaign, out=WHERE)
    with Bucket(WHERE).fetched() as folder:
        assert sorted(path.name for path in folder.iterdir()) == FILES


def killed_at(at: int, s3: S3, campaign: Path) -> None:
    """Export in a process of its own, and kill it as it sends the request of this number."""
    process = subprocess.Popen([sys.executable, "-m", "imitable", "export", str(campaign), "--out", WHERE])
    changes: list[str] = []

    def strike(method: str, path: str) -> str | None:
        if method not in ("PUT", "POST", "DELETE"):
            return None
        changes.append(path)
        if len(changes) != at + 1:
            return None
        process.kill()
        process.wait()
        return "SlowDown"

    s3.strike = strike
    assert process.wait(timeout=120) == -signal.SIGKILL
    s3.strike = lambda _method, _path: None


def test_a_new_export_takes_the_place_of_an_earlier_one_with_all_its_files(s3: S3, campaign: Path) -> None:
    export(campaign, out=WHERE)
    client = boto3.client("s3")
    key = "first/guesses/datapackage.json"
    before = json.loads(client.get_object(Bucket="lab", Key=key)["Body"].read())
    before["files"].append("dropped.csv")  # as an earlier version of imitable might have written
    client.put_object(Bucket="lab", Key="first/guesses/dropped.csv", Body=b"old")
    client.put_object(Bucket="lab", Key=key, Body=json.dumps(before).encode())
    s3.seen.clear()
    export(campaign, out=WHERE)
    assert s3.names() == FILES
    changes = [f"{method} {path.partition('?')[0].rpartition('/')[2]}" for method, path in s3.seen if method != "GET"]
    changes = [one for one in changes if not one.startswith("HEAD")]
    assert changes[0] == "DELETE datapackage.json"
    assert changes[-1] == "PUT datapackage.json"


@pytest.mark.parametrize("name", ["guesses.csv", "thesis.txt", "datapackage.json"])
def test_what_others_put_there_is_not_touched(name: str, s3: S3, campaign: Path) -> None:
    boto3.client("s3").put_object(Bucket="lab", Key=f"first/guesses/{name}", Body=b"years of work")
    s3.seen.clear()
    with pytest.raises(
        TablesError, match=rf"^{WHERE}/.*{name}.*(not written by imitable|imitable did not write).* Give "
    ):
        export(campaign, out=WHERE)
    assert {method for method, _ in s3.seen} <= {"GET", "HEAD"}
    assert s3.names() == [name]


def test_a_file_that_was_changed_behind_the_descriptor_is_not_ranked(s3: S3, campaign: Path, tmp_path: Path) -> None:
    export(campaign, out=WHERE)
    boto3.client("s3").put_object(Bucket="lab", Key="first/guesses/guesses.csv", Body=b"annotator_id\n")
    with pytest.raises(TablesError, match=r"guesses\.csv is not the file that datapackage\.json describes.*again"):
        rank(WHERE, out=tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDenied", r"access is denied \(the server said so\).*s3:ListBucket.*AWS_PROFILE"),
        ("InvalidAccessKeyId", r"credentials are refused .*Renew them"),
        ("PermanentRedirect", r"another region .*Set AWS_REGION"),
        ("SlowDown", r"S3 answers SlowDown .*run again later"),
    ],
)
def test_what_s3_refuses_is_said_with_what_to_do(code: str, said: str, s3: S3, campaign: Path) -> None:
    s3.strike = lambda _method, _path: code
    with pytest.raises(TablesError, match=rf"^{WHERE}/: .*{said}"):
        export(campaign, out=WHERE)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, r"no credentials .*Set AWS_ACCESS_KEY_ID"),
        ({"AWS_PROFILE": "nobody"}, r"\(?nobody\)? could not be found.*Correct AWS_PROFILE"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, r"Could not connect .*Check the network, AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, r"nonsense.*Correct AWS_ENDPOINT_URL"),
    ],
)
def test_what_never_reaches_s3_is_said_with_what_to_do(
    settings: dict[str, str], said: str, s3: S3, campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name)
    with pytest.raises(TablesError, match=said):
        export(campaign, out=WHERE)


def test_a_bucket_that_is_not_there_is_named(s3: S3, campaign: Path) -> None:
    with pytest.raises(TablesError, match=r"there is no bucket 'elsewhere'\. Make it, or correct the address"):
        export(campaign, out="s3://elsewhere/guesses")
    with pytest.raises(TablesError, match=r"names no bucket\. Write it as s3://BUCKET/PREFIX"):
        export(campaign, out="s3:///guesses")


def test_without_the_package_its_extra_is_named(campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtra, match="'aws'"):
        export(campaign, out=WHERE)


def test_exports_and_corpora_take_credentials_and_endpoint_from_the_same_profile(
    s3: S3, campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3.client("s3").put_object(Bucket="lab", Key="texts/a.txt", Body=b"One.\n\nTwo.\n")
    (tmp_path / "aws-config").write_text(f"[profile lab]\nregion = us-east-1\nendpoint_url = {s3.url}\n")
    (tmp_path / "aws-credentials").write_text("[lab]\naws_access_key_id = sham\naws_secret_access_key = sham\n")
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "lab")
    read = read_corpus(Corpus.model_validate({"path": "s3://lab/texts"}), base=tmp_path)
    assert [one.text for one in read] == ["One.", "Two."]
    export(campaign, out=WHERE)
    assert s3.names() == FILES
