"""Hugging Face data sets: folders that `datasets` saved, and names on the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pytest

from imitable.activations.corpus import Text, read_corpus
from imitable.activations.corpus_hub import could_be_on_the_hub, data_set_texts
from imitable.campaign import Corpus
from imitable.errors import CorpusError, MissingExtra


def read(base: Path, path: str, **more: object) -> list[Text]:
    return read_corpus(Corpus.model_validate({"path": path, **more}), base=base)


def saved(folder: Path) -> None:
    """`one` is a data set, `two` has two splits."""
    rows = [f"Text {number}." for number in range(2_500)]
    one = datasets.Dataset.from_dict({"text": rows, "n": list(range(2_500))}, split="train")
    one.save_to_disk(folder / "one", num_shards=3)
    two = datasets.DatasetDict({"train": one.select(range(7)), "test": one.select(range(3, 5))})
    two.save_to_disk(folder / "two")


def test_a_saved_data_set_is_read_without_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    found = read(tmp_path, "one")
    assert [text.text for text in found] == [f"Text {number}." for number in range(2_500)]
    assert found[0] == Text("Text 0.", "data-00000-of-00003.arrow", 1)
    assert len(read(tmp_path, "one", max_texts=5)) == 5


def test_a_split_of_a_saved_data_set_is_chosen_by_name(tmp_path: Path) -> None:
    saved(tmp_path)
    assert len(read(tmp_path, "two")) == 7
    assert [text.text for text in read(tmp_path, "two", split="test")] == ["Text 3.", "Text 4."]
    with pytest.raises(CorpusError, match=r"two has no split 'dev'\. Name one of train, test in \[corpus\] split\.$"):
        read(tmp_path, "two", split="dev")
    with pytest.raises(CorpusError, match=r"one has no split 'test'\. Name one of train in \[corpus\] split\.$"):
        read(tmp_path, "one", split="test")


def test_a_saved_data_set_that_is_broken_is_told(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(CorpusError, match=r"00003\.arrow: no column 'story' among text, n\."):
        read(tmp_path, "one", column="story")
    with pytest.raises(CorpusError, match=r"00003\.arrow, line 1: the text is int, not a string\."):
        read(tmp_path, "one", column="n")
    (tmp_path / "one" / "data-00001-of-00003.arrow").write_bytes(b"ARROW?" * 9)
    with pytest.raises(CorpusError, match=r"data-00001-of-00003\.arrow is not a readable Arrow file"):
        read(tmp_path, "one")
    (tmp_path / "one" / "data-00001-of-00003.arrow").unlink()
    with pytest.raises(CorpusError, match=r"No corpus at .*data-00001-of-00003\.arrow"):
        read(tmp_path, "one")
    (tmp_path / "one" / "state.json").write_text(json.dumps({"_data_files": "x"}), encoding="utf-8")
    with pytest.raises(CorpusError, match=r"state\.json, _data_files: not what datasets writes\. Save the"):
        read(tmp_path, "one")
    (tmp_path / "two" / "test" / "state.json").unlink()
    with pytest.raises(CorpusError, match=r"There is no .*two/test/state\.json.*Save the data set again\.$"):
        read(tmp_path, "two", split="test")
    (tmp_path / "two" / "dataset_dict.json").write_text("{oops", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"two/dataset_dict\.json is not what datasets writes"):
        read(tmp_path, "two")


@pytest.mark.parametrize("name", ["owner/name", "name", "roneneldan/TinyStories", "c4.v1"])
def test_what_could_be_a_data_set_of_the_hub(name: str) -> None:
    assert could_be_on_the_hub(name)


@pytest.mark.parametrize("name", ["a.txt", "owner/a.jsonl.gz", "./name", "a/b/c", "/abs", "*", "a/*", "..", "~/x", ""])
def test_what_could_not(name: str) -> None:
    assert not could_be_on_the_hub(name)


def hub(path: Path, **more: object) -> list[Text]:
    """As from the hub: `datasets` reads a folder of files as it reads a repository."""
    corpus = Corpus.model_validate({"path": str(path), **more})
    return list(data_set_texts(corpus, failed="It cannot be had"))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "repository"
    (folder / "data").mkdir(parents=True)
    for split in ("train", "test"):
        rows = [json.dumps({"text": f" {split} {number} "}) for number in range(5)]
        (folder / "data" / f"{split}.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return folder


def test_a_data_set_is_streamed_by_split_and_row(repository: Path) -> None:
    found = hub(repository)
    assert found[:2] == [Text("train 0", str(repository), 1), Text("train 1", str(repository), 2)]
    assert [one.text for one in hub(repository, split="test")] == [f"test {number}" for number in range(5)]


def test_datasets_keeps_the_bars_that_it_had(repository: Path) -> None:
    before = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    hub(repository)
    assert (datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()) == before


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"split": "dev"}, r"It cannot be had \(.*dev.*Correct path, subset and split in \[corpus\]"),
        ({"subset": "fr"}, r"It cannot be had \(.*fr"),
        ({"column": "story"}, r"no column 'story' among text\."),
    ],
)
def test_a_wrong_split_subset_or_column_of_a_data_set_is_told(
    keys: dict[str, str], said: str, repository: Path
) -> None:
    with pytest.raises(CorpusError, match=said):
        hub(repository, **keys)


def test_a_data_set_that_breaks_off_is_told(repository: Path) -> None:
    (repository / "data" / "train.jsonl").write_text('{"text": "One."}\n{"text": oops\n', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"The data set .*, split train broke off \(.*copy the corpus here\.$"):
        hub(repository)


ASK = """
import sys
from pathlib import Path
from imitable.activations.corpus import stream_corpus
from imitable.campaign import Corpus
from imitable.errors import CorpusError
try:
    stream_corpus(Corpus(path="owner/no-such-set", subset="en"), base=Path(sys.argv[1]))
except CorpusError as error:
    print(error)
"""


@pytest.mark.parametrize("unreachable", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:1"}])
def test_a_hub_that_cannot_be_reached_is_told_in_one_line(unreachable: dict[str, str], tmp_path: Path) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", ASK, str(tmp_path)],
        env={**os.environ, "HF_HOME": str(tmp_path / "home"), **unreachable},
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - began < 20
    assert done.stdout.startswith(f"There is no file or folder {tmp_path / 'owner/no-such-set'}, and the data set ")
    assert "owner/no-such-set, subset en, split train cannot be had from the Hugging Face hub (" in done.stdout
    assert done.stdout.endswith("or copy the corpus here.\n")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_without_datasets_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"There is no file or folder .*owner/name.* extra 'models'"):
        read(tmp_path, "owner/name")
