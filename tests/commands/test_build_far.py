"""Builds whose corpus, outputs or workers are elsewhere: the same bytes as at home."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import fsspec
import pytest
import ray
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from building import build_bytes, campaign, edit, stories
from imitable.cli.app import app
from imitable.commands.build import build
from imitable.errors import BuildError, CorpusError, ModelError
from imitable.store import read_build

CHOSEN = 'select = { method = "kurtosis", count = 3 }'


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a real S3 server of this machine."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.config.conf.clear()
    boto3.client("s3").create_bucket(Bucket="lab")
    yield "s3://lab"
    server.stop()


def test_a_corpus_and_a_copy_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    home, away = campaign(tmp_path / "home", chosen=CHOSEN), campaign(tmp_path / "away", texts=None, chosen=CHOSEN)
    build(home)
    s3 = boto3.client("s3")
    s3.upload_file(str(home / "corpus.txt"), "lab", "texts/corpus.txt")
    edit(away, '"corpus.txt"', f'"{bucket}/texts/corpus.txt"')
    done = CliRunner().invoke(app, ["build", str(away), "--copy-to", f"{bucket}/built/one"])
    assert done.exit_code == 0, done.output
    there = {
        each["Key"].rpartition("/")[2]: s3.get_object(Bucket="lab", Key=each["Key"])["Body"].read()
        for each in s3.list_objects_v2(Bucket="lab", Prefix="built/one/")["Contents"]
    }
    assert there == build_bytes(away)
    assert {name: there[name] for name in there if name != "report.json"} == {
        name: made for name, made in build_bytes(home).items() if name != "report.json"
    }


def test_a_copy_that_cannot_be_made_leaves_a_whole_build(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BuildError, match=r"cannot be written .*The build itself is whole, in .*run the same command"):
        build(directory, copy_to=str(tmp_path / "file" / "under"))
    assert not build(directory, copy_to=str(tmp_path / "copy")).fresh
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == build_bytes(directory)
    modes = {oct(path.stat().st_mode)[-3:] for path in (tmp_path / "copy").iterdir()}
    assert (modes, oct((tmp_path / "copy").stat().st_mode)[-3:]) == ({"600"}, "700")


@pytest.mark.parametrize("address", ["", "memory://x", "{c}", "{c}/build"])
def test_a_copy_to_nowhere_is_refused(address: str, tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    with pytest.raises(BuildError, match=r"is no address to write to \(.*Give s3://bucket/prefix or a folder"):
        build(directory, copy_to=address.format(c=directory))


def test_held_out_items_come_from_the_second_corpus(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", texts=160)
    (directory / "other.txt").write_text("\n\n".join(stories(400)[160:]), encoding="utf-8")
    edit(directory, 'path = "corpus.txt"', 'path = "corpus.txt"\nheld_out_path = "other.txt"')
    build(directory)
    first, second = ((directory / name).read_text(encoding="utf-8") for name in ("corpus.txt", "other.txt"))
    records = read_build(directory / "build")
    for item in records["items"]:
        own, foreign = (second, first) if item.split == "held_out" else (first, second)
        assert item.text in own
        assert item.text not in foreign
    assert all(example.text in first for example in records["examples"])


def test_a_corpus_that_repeats_itself_is_too_short(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", texts=None)
    (directory / "corpus.txt").write_text("\n\n".join(stories(3) * 80), encoding="utf-8")
    with pytest.raises(CorpusError, match=r"too short: it has \d of the \d+ documents .*or twice, do not count"):
        build(directory)


def test_ray_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imitable.activations.cutting.SHARD_TOKENS", 3000)
    monkeypatch.setattr("imitable.commands.choosing.SAMPLE_TOKENS", 6000)
    home, far = (campaign(tmp_path / name, chosen=CHOSEN) for name in ("home", "far"))
    build(home)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        build(far, ray="local")
    finally:
        ray.shutdown()
    assert build_bytes(far) == build_bytes(home)
    assert len(json.loads((far / "build" / "report.json").read_text())["files"]) == 5


def test_a_cluster_that_does_not_answer_is_named(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    with pytest.raises(
        ModelError, match=r"No Ray cluster answers at 127\.0\.0\.1:1 .*Start one with 'ray start --head'"
    ):
        build(directory, ray="127.0.0.1:1")
