"""`imitable verify`, and what is looked at before a campaign is served."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from sqlalchemy import update
from typer.testing import CliRunner

from building import builtin_model, campaign, edit
from imitable.campaign import open_folder
from imitable.cli.app import app
from imitable.commands.build import build
from imitable.commands.serve import serve
from imitable.commands.verify import verify
from imitable.errors import BuildError, ModelError
from imitable.store import open_store, tables
from imitable.targets import write_vectors


def own_model(path: Path) -> Path:
    """A campaign with a copy of the built-in model, which a test may change, and a probe of random weights."""
    directory = campaign(path, model='path = "model"', chosen="units = [0, 1, 2]")
    shutil.copytree(builtin_model(), directory / "model")
    weight = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
    write_vectors(directory / "chance.safetensors", weight=weight, metadata={"layer": "2"})
    more = '[[targets]]\nkind = "probe"\nfile = "chance.safetensors"\n[episode]'
    edit(directory, "[episode]", more)
    build(directory)
    return directory


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_model(tmp_path_factory.mktemp("verify") / "c")


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "c"))


def test_truths_are_found_again_within_rounding(directory: Path) -> None:
    seen = verify(directory, sample=50)
    assert (seen.checked, seen.problems) == (50, ())
    assert seen.of == verify(directory, sample=10**6).checked
    assert seen.largest <= 1e-5


def test_the_command_says_so_with_exit_code_0(directory: Path) -> None:
    done = CliRunner().invoke(app, ["verify", str(directory), "--sample", "20"])
    assert done.exit_code == 0, done.output
    assert "Recomputed 20 of" in done.output
    assert "Models, files and database are those of the build." in done.output


def nudge_weights(directory: Path) -> None:
    path = directory / "model" / "model.safetensors"
    weights = load_file(path)
    weights["model.layers.1.mlp.up_proj.weight"] *= 1.01
    save_file(weights, path, metadata={"format": "pt"})


def change_tokenizer(directory: Path) -> None:
    path = directory / "model" / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokenizer["normalizer"]["normalizers"].append({"type": "Lowercase"})
    path.write_text(json.dumps(tokenizer), encoding="utf-8")


def replace_probe(directory: Path) -> None:
    path = directory / "chance.safetensors"
    path.unlink()
    write_vectors(path, weight=np.ones((1, 64), np.float32), metadata={"layer": "2"})


def change_built_truths(directory: Path) -> None:
    path = directory / "build" / "truths.parquet"
    table = pq.read_table(path)
    pq.write_table(table.take(list(range(len(table)))[::-1]), path)


Damage = Callable[[Path], None]

CHANGES: list[tuple[Damage, str]] = [
    (nudge_weights, r"model is not the model that was built from: model\.safetensors changed since"),
    (change_tokenizer, r"tokenizer\.json changed since\. Put the old model back, or build again\."),
    (replace_probe, r"chance\.safetensors is not the file that was built from\. Put the old one back"),
    (change_built_truths, r"truths\.parquet is not the file that was built\. Put it back, or remove"),
]


@pytest.mark.parametrize(("damage", "said"), CHANGES)
def test_what_changed_is_named_with_exit_code_4_and_is_not_served(damage: Damage, said: str, directory: Path) -> None:
    damage(directory)
    problems = " ".join(verify(directory, sample=30).problems)
    done = CliRunner().invoke(app, ["verify", str(directory)])
    assert done.exit_code == 4
    with pytest.raises(BuildError, match=r"^This is not the campaign that was built: .*" + said) as refused:
        serve(directory, port=0)
    assert str(refused.value).removeprefix("This is not the campaign that was built: ") in problems


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json"])
def test_a_model_whose_files_were_emptied_is_neither_verified_nor_served(name: str, directory: Path) -> None:
    (directory / "model" / name).write_text("")
    with pytest.raises(ModelError, match=rf"{name} is empty or damaged.*Copy it from the model's source again\.$"):
        verify(directory)
    with pytest.raises(BuildError, match=rf"not the campaign that was built: .*{name} changed since"):
        serve(directory, port=0)


def test_changed_weights_show_in_the_truths_too(directory: Path) -> None:
    nudge_weights(directory)
    seen = verify(directory, sample=10**6)
    assert seen.largest > 1e-3
    assert any("standard deviations from the stored one" in problem for problem in seen.problems)
    assert any("has other weights, configuration or tokenizer" in problem for problem in seen.problems)


STORED: list[tuple[Any, dict[str, Any], str]] = [
    (tables.truths, {"truth": 1.0}, "truths"),
    (tables.truths, {"activation": 1.0}, "truths"),
    (tables.items, {"text": "Another text."}, "items"),
    (tables.items, {"focus_start": 0}, "items"),
    (tables.targets, {"l_ref": 9.0}, "targets"),
    (tables.examples, {"role": "top"}, "examples"),
]


@pytest.mark.parametrize(("table", "values", "name"), STORED)
def test_a_database_that_is_not_the_build_is_found_out(
    table: Any, values: dict[str, Any], name: str, directory: Path
) -> None:
    store = open_store(open_folder(directory))
    with store.write() as connection:
        connection.execute(update(table).values(**values))
    store.close()
    (problem,) = verify(directory, sample=5).problems
    assert problem.startswith(f"the database's table '{name}' is not what ")


def forge(directory: Path, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change every row of one file of the build, and its hash in the report."""
    path, report = directory / "build" / f"{name}.parquet", directory / "build" / "report.json"
    rows = [row | change(row) for row in pq.read_table(path).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows), path)
    told = json.loads(report.read_text())
    told["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    report.write_text(json.dumps(told))


FORGED: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "truths turned round": ("truths", lambda row: {"truth": 10 - row["truth"]}, "the truth of"),
    "activations": ("truths", lambda row: {"activation": row["activation"] + 1}, "the activation of"),
    "no numbers": ("truths", lambda row: {"values": [float("nan")] * len(row["values"])}, "the activation of"),
    "values cut short": ("truths", lambda row: {"values": row["values"][:-1]}, "the activation of"),
    "another focus": ("items", lambda row: {"position": row["position"] - 1}, "the id of"),
    "another reference": ("targets", lambda row: {"l_ref": row["l_ref"] + 1}, "the reference loss of"),
    "another scale": ("targets", lambda row: {"scale_m": row["scale_m"] * 2}, "the truth of"),
}


@pytest.mark.parametrize("edit_of", FORGED)
def test_a_forged_build_contradicts_itself(edit_of: str, directory: Path) -> None:
    name, change, said = FORGED[edit_of]
    forge(directory, name, change)
    assert any(problem.startswith(said) for problem in verify(directory, sample=10).problems)


def test_a_campaign_that_is_not_built_says_how(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c")
    with pytest.raises(BuildError, match=r"is not built yet\. Build it with: imitable build"):
        verify(directory)


def test_threads_do_not_matter(directory: Path) -> None:
    torch.set_num_threads(2)
    try:
        assert verify(directory, sample=50).largest <= 1e-5
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("left", ["", "[]", "{}", '{"build_hash": "x"}', "null", "3", "\x00"])
def test_a_damaged_report_is_named_with_the_way_out(left: str, small_campaign: Path) -> None:
    (small_campaign / "build" / "report.json").write_text(left)
    with pytest.raises(BuildError, match=r"report\.json is damaged .*build and run 'imitable build' again\.$"):
        verify(small_campaign)


DAMAGED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a model without its hash": (lambda told: told["models"][0].pop("sha256"), "one of its models does not say sha256"),
    "a hash that is none": (lambda told: told["models"][0].update(sha256=3), "one of its models does not say sha256"),
    "a model that is none": (
        lambda told: told["models"].append(1),
        "one of its models does not say model_id, sha256, device, files",
    ),
    "files in a list": (lambda told: told.update(files=[]), "it does not say files"),
    "no reason": (lambda told: told["left_out"].append({"target_id": "a"}), "what is left out does not say reason"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_report_that_says_too_little_is_damaged(damage: str, small_campaign: Path) -> None:
    spoil, said = DAMAGED[damage]
    path = small_campaign / "build" / "report.json"
    told = json.loads(path.read_text())
    spoil(told)
    path.write_text(json.dumps(told))
    with pytest.raises(BuildError, match=rf"report\.json is damaged \({said}\)"):
        verify(small_campaign)


def test_after_a_damaged_report_the_command_s_own_advice_mends_the_campaign(small_campaign: Path) -> None:
    report = small_campaign / "build" / "report.json"
    before = report.read_bytes()
    report.write_bytes(before[:200])
    done = CliRunner().invoke(app, ["verify", str(small_campaign)])
    assert isinstance(done.exception, BuildError)
    shutil.rmtree(small_campaign / "build")
    build(small_campaign)
    assert report.read_bytes() == before
    assert CliRunner().invoke(app, ["verify", str(small_campaign), "--sample", "5"]).exit_code == 0
