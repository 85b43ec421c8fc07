"""Training a probe on the built-in model: whether a story names somebody, from real texts to a file that is read."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from building import campaign, edit, stories
from imitable.activations.anatomy import study
from imitable.activations.models import load_model
from imitable.activations.running import Work, columns
from imitable.activations.shards import Shard
from imitable.activations.vectors import vector_site
from imitable.activations.windows import windows
from imitable.campaign import Model
from imitable.commands.train_probe import Trained, train_probe
from imitable.errors import CampaignError, CorpusError, ImitableError, MissingExtra, ModelError
from imitable.targets import read_vectors

TEXTS = [text for text in stories(1500) if len(text) > 80]


def names_somebody(text: str) -> bool:
    """Whether the beginning, which the model is given, says what somebody is called."""
    return "named" in text[:70]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "named.jsonl"
    rows = [{"text": text, "label": "named" if names_somebody(text) else "else"} for text in TEXTS[:500]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return campaign(tmp_path_factory.mktemp("probe") / "campaign", texts=40)


@pytest.fixture(scope="module")
def trained(folder: Path, data: Path) -> Trained:
    return train_probe(folder, labelled=data, layer=3, name="named")


def test_a_probe_is_far_better_than_chance_and_says_what_it_is(trained: Trained, folder: Path, data: Path) -> None:
    assert trained.path == folder / "probes" / "named.safetensors"
    assert trained.labels == ("else", "named")
    assert trained.auroc > 0.7
    assert trained.auroc_texts > 0.9
    assert trained.texts + trained.too_short == 500
    assert trained.held_out == pytest.approx(trained.texts / 4, abs=1)
    assert tomllib.loads(trained.table) == {"targets": [{"kind": "probe", "file": "probes/named.safetensors"}]}
    vectors = read_vectors(trained.path)
    assert vectors.layer == 3
    assert vectors.weight.shape == (1, 64)
    about = vectors.metadata
    assert (about["label"], about["trained_on"], about["n_tokens"]) == ("named", data.name, str(trained.tokens))
    assert float(about["auroc_held_out"]) == pytest.approx(trained.auroc, abs=1e-4)
    assert {"model_id", "model_sha256", "trained_on_sha256", "seed", "torch", "scikit-learn"} <= about.keys()


def test_the_file_works_as_a_target_on_texts_it_has_not_seen(trained: Trained, folder: Path) -> None:
    loaded = load_model(Model(path="builtin:stories260K"), base=folder)
    vectors = read_vectors(trained.path)
    site = vector_site(vectors, study(loaded), kind="probe", name="named", model_sha256=loaded.sha256)
    fresh = TEXTS[600:800]
    cut = windows(loaded, fresh, documents=range(len(fresh)), shortest=12, longest=32)
    first = [window for at, window in enumerate(cut) if at == 0 or window.document != cut[at - 1].document]
    shard = Shard.of(first)
    read = columns(loaded, shard, Work((site,), {site.name: (0,)}, "float32"))[site.name][:, 0]
    means = [read[start + 9 : end].mean() for start, end in zip(shard.starts, shard.ends, strict=True)]
    labels = [names_somebody(fresh[window.document]) for window in first]
    assert roc_auc_score(labels, means) > 0.9


def test_equal_seeds_give_equal_bytes_and_others_do_not(
    trained: Trained, folder: Path, data: Path, tmp_path: Path
) -> None:
    again = train_probe(folder, labelled=data, layer=3, name="named", out=tmp_path / "again.safetensors")
    assert again.path.read_bytes() == trained.path.read_bytes()
    assert tomllib.loads(again.table)["targets"][0]["file"] == str(tmp_path / "again.safetensors")
    first = trained.path.read_bytes()
    with pytest.raises(
        CampaignError, match=r"named\.safetensors is there already and is another\. Remove it, or choose"
    ):
        train_probe(folder, labelled=data, layer=3, name="named", seed=1)
    assert trained.path.read_bytes() == first


def test_the_probe_depends_on_no_text_that_is_held_out(folder: Path, tmp_path: Path) -> None:
    """Labels drawn at random cannot be predicted: an AUROC above chance would be a leak between the parts."""
    rng = np.random.default_rng(5)
    rows = [{"text": text, "label": int(rng.random() < 0.5)} for text in TEXTS[:300]]
    path = tmp_path / "random.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = train_probe(folder, labelled=path, layer=2, name="random", out=tmp_path / "random.safetensors")
    assert 0.35 < found.auroc < 0.65


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"layer": 5}, ModelError, r"has no layer 5"),
        ({"layer": -1}, CampaignError, r"There is no layer -1\. Name a block, from 0 upwards\.$"),
        ({"name": "a b"}, CampaignError, r"'probe\.1\.a b' is not a site"),
        ({"model": "other"}, CampaignError, r"has no model 'other'\. Name one with --model: stories260K\.$"),
        ({"label_column": "kind"}, CorpusError, r"no column 'kind' among text, label\."),
    ],
)
def test_what_was_asked_wrong_is_said(
    change: dict[str, Any], error: type[ImitableError], message: str, folder: Path, data: Path
) -> None:
    asked: dict[str, Any] = {"labelled": data, "layer": 1, "name": "a"} | change
    with pytest.raises(error, match=message):
        train_probe(folder, **asked)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            [*TEXTS[:30], *TEXTS[30:49]],
            r"column 'label': 19 texts have the label 'b', and a probe needs 20 of each\. Add",
        ),
        (
            [*TEXTS[:30], *(f"{at}" for at in range(40))],
            r"0 texts with more than 8 tokens have the label 'b'.*Add texts\.$",
        ),
    ],
)
def test_too_few_texts_are_counted(texts: list[str], message: str, folder: Path, tmp_path: Path) -> None:
    rows = [{"text": text, "label": "a" if at < 30 else "b"} for at, text in enumerate(texts)]
    path = tmp_path / "few.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(CorpusError, match=message):
        train_probe(folder, labelled=path, layer=1, name="few")
    assert not (folder / "probes" / "few.safetensors").exists()


def test_one_of_several_models_must_be_named(data: Path, tmp_path: Path) -> None:
    directory = campaign(tmp_path / "campaign", texts=None)
    edit(
        directory,
        '[model]\npath = "builtin:stories260K"',
        "\n".join(f'[[models]]\npath = "builtin:stories260K"\nname = "{name}"' for name in ("one", "two")),
    )
    with pytest.raises(CampaignError, match=r"has several models\. Name one with --model: one, two\.$"):
        train_probe(directory, labelled=data, layer=1, name="a")
    train_probe(directory, labelled=data, layer=1, name="a", model="two")
    assert read_vectors(directory / "probes" / "a.safetensors").metadata["model_id"] == "two"


def test_without_scikit_learn_it_says_what_to_install(
    folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(MissingExtra, match=r"Training a probe needs .*pip install 'imitable\[models\]'$"):
        train_probe(folder, labelled=data, layer=1, name="none")
