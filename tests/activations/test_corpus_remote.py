"""Corpora behind addresses, on real servers: a web server, an S3 server (moto's), and fsspec's own memory."""

from __future__ import annotations

import functools
import gzip
import json
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
import datasets
import fsspec
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from imitable.activations import corpus_source
from imitable.activations.corpus import Text, read_corpus
from imitable.campaign import Corpus
from imitable.errors import CorpusError, MissingExtra

HERE = Path()


def read(path: str, **more: object) -> list[Text]:
    return read_corpus(Corpus.model_validate({"path": path, **more}), base=HERE)


def texts(path: str, **more: object) -> list[str]:
    return [one.text for one in read(path, **more)]


def fill(folder: Path) -> None:
    """A folder with every kind of file, and one that is no corpus."""
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"text": "One."}\n{"text": "Two."}\n', encoding="utf-8")
    (folder / "b.txt").write_text("Three.\n\nFour\nlines.\n", encoding="utf-8")
    (folder / "c.csv.gz").write_bytes(gzip.compress(b'text\n"Fi,\nve."\n'))
    (folder / "notes.md").write_text("Not a corpus.", encoding="utf-8")
    pd.DataFrame({"text": ["Six.", "Seven."]}).to_parquet(folder / "deep" / "d.parquet")
    datasets.Dataset.from_dict({"text": ["Eight.", "Nine."]}).save_to_disk(folder.parent / "saved")


ALL = ["One.", "Two.", "Three.", "Four\nlines.", "Fi,\nve.", "Six.", "Seven."]


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[..., BaseHTTPRequestHandler]], str]]:
    """Start web servers; they end with the test."""
    servers: list[ThreadingHTTPServer] = []

    def start(handler: Callable[..., BaseHTTPRequestHandler]) -> str:
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """A folder on the web, without a log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def web(serve: Callable[..., str], tmp_path: Path) -> str:
    fill(tmp_path / "texts")
    return serve(functools.partial(Quiet, directory=str(tmp_path)))


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with the folder; its name."""
    for key, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "sham",
        "AWS_SECRET_ACCESS_KEY": "sham",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(key, value)
    fill(tmp_path / "texts")
    client = boto3.client("s3")
    client.create_bucket(Bucket="corpora")
    for file in tmp_path.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), "corpora", file.relative_to(tmp_path).as_posix())
    return "s3://corpora"


def test_files_on_the_web_are_read_one_by_one(web: str) -> None:
    assert read(f"{web}/texts/a.jsonl?token=secret") == [Text("One.", "a.jsonl", 1), Text("Two.", "a.jsonl", 2)]
    assert texts(f"{web}/texts/b.txt") == ["Three.", "Four\nlines."]
    assert read(f"{web}/texts/c.csv.gz") == [Text("Fi,\nve.", "c.csv.gz", 2)]
    assert texts(f"{web}/texts/deep/d.parquet") == ["Six.", "Seven."]


def test_a_folder_and_a_glob_on_the_web_are_read_in_order(web: str) -> None:
    assert texts(f"{web}/texts/") == ALL
    assert texts(f"{web}/texts/*.jsonl") == ["One.", "Two."]


def test_a_web_file_larger_than_any_buffer_is_streamed(serve: Callable[..., str], tmp_path: Path) -> None:
    rows = [f"{number} {'word ' * 200}".strip() for number in range(12_000)]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": row}) for row in rows), encoding="utf-8")
    pd.DataFrame({"text": rows}).to_parquet(tmp_path / "a.parquet")
    web = serve(functools.partial(Quiet, directory=str(tmp_path)))
    assert texts(f"{web}/a.jsonl") == texts(f"{web}/a.parquet") == rows
    assert texts(f"{web}/a.jsonl", max_texts=1) == rows[:1]


def test_a_web_file_that_is_not_there_is_told_without_its_signature(web: str) -> None:
    with pytest.raises(
        CorpusError, match=r"^No corpus at http://.*/texts/z\.jsonl \(.*404.*Correct \[corpus\] path\.$"
    ):
        read(f"{web}/texts/z.jsonl")
    with pytest.raises(CorpusError) as caught:
        read(f"{web}/texts/notes.jsonl?X-Amz-Signature=secret")
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(CorpusError, match=r"127\.0\.0\.1:1/a\.jsonl .*Connect call failed"):
        read("http://127.0.0.1:1/a.jsonl")


class BreaksOff(BaseHTTPRequestHandler):
    """Promises more than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"text": "One."}\n')

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_download_that_breaks_off_is_no_shorter_corpus(serve: Callable[..., str]) -> None:
    with pytest.raises(CorpusError, match=r"a\.jsonl cannot be read \(.*Check the address, your access"):
        read(f"{serve(BreaksOff)}/a.jsonl")


def test_a_bucket_is_read_like_a_folder(s3: str) -> None:
    assert texts(f"{s3}/texts") == texts(f"{s3}/texts/") == ALL
    assert read(f"{s3}/texts/a.jsonl") == [Text("One.", "a.jsonl", 1), Text("Two.", "a.jsonl", 2)]
    assert texts(f"{s3}/texts/*.txt") == ["Three.", "Four\nlines."]
    assert texts(f"{s3}/texts/deep/d.parquet") == texts(f"{s3}/**/*.parquet") == ["Six.", "Seven."]
    assert texts(f"{s3}/saved") == ["Eight.", "Nine."]


def test_objects_larger_than_any_buffer_are_streamed(s3: str) -> None:
    rows = [f"{number} {'word ' * 200}".strip() for number in range(12_000)]
    body = "\n".join(json.dumps({"text": row}) for row in rows).encode()
    boto3.client("s3").put_object(Bucket="corpora", Key="large/a.jsonl", Body=body)
    assert texts(f"{s3}/large/a.jsonl") == rows


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("s3://corpora/gone.jsonl", r"^No corpus at s3://corpora/gone\.jsonl \(.*Correct \[corpus\] path\.$"),
        ("s3://corpora/gone", r"^No corpus at s3://corpora/gone: no file, no folder .*Correct \[corpus\] path\.$"),
        ("s3://corpora/gone/*.txt", r"^No corpus at s3://corpora/gone/\*\.txt: "),
        ("s3://no-such-bucket/a.txt", r"^No corpus at s3://no-such-bucket/a\.txt"),
        ("s3://corpora/texts/notes.md", r"^s3://corpora/texts/notes\.md is not one of \.txt"),
    ],
)
def test_what_a_bucket_does_not_hold_is_told(path: str, said: str, s3: str) -> None:
    with pytest.raises(CorpusError, match=said):
        read(path)


def test_a_bucket_that_cannot_be_reached_is_told(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(CorpusError, match=r"^s3://corpora/texts cannot be listed \(.*connect.* Check the address"):
        read("s3://corpora/texts")


@pytest.fixture
def memory() -> Iterator[str]:
    system = fsspec.filesystem("memory")
    system.pipe_file("/imitable/b.txt", b"Three.\n\nFour.")
    system.pipe_file("/imitable/a/a.jsonl", b'{"text": "One."}\n')
    system.pipe_file("/imitable/bad.csv.gz", gzip.compress(b"text\n\xe9\n"))
    yield "memory://imitable"
    system.rm("/imitable", recursive=True)


def test_any_file_system_that_fsspec_knows_will_do(memory: str) -> None:
    assert texts(f"{memory}/**/*.jsonl") == ["One."]
    assert texts(f"{memory}/b.txt") == ["Three.", "Four."]
    with pytest.raises(CorpusError, match=r"memory:///?imitable/bad\.csv\.gz, line 2: not UTF-8 \(byte 0xe9\)"):
        read(memory)


def test_tiny_buffers_read_the_same_from_afar(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_source, "READ_BYTES", 1)
    assert texts(f"{memory}/b.txt") == ["Three.", "Four."]


def test_a_storage_whose_package_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"].__dict__["_registry"], "s3", raising=False)
    with pytest.raises(MissingExtra, match=r"^Reading s3://b/a\.txt needs the extra 'aws'"):
        read("s3://b/a.txt")
    with pytest.raises(CorpusError, match=r"^gs://b/a\.txt cannot be read: .*gcsfs.*or copy the corpus here\.$"):
        read("gs://b/a.txt")
    with pytest.raises(CorpusError, match=r"^nonsense://b/a\.txt: .*[Pp]rotocol.*Correct \[corpus\] path\.$"):
        read("nonsense://b/a.txt")
