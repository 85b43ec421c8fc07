"""A real model in whole words, built at every level: SmolLM2-135M, of which `make models` makes a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import missing

from building import campaign, edit
from imitable.campaign.running import LEVELS
from imitable.commands.build import build
from imitable.commands.verify import verify
from imitable.rounds import AtLevel
from imitable.store import read_build
from imitable.targets import write_vectors

MODEL = Path(__file__).parents[2] / "models" / "SmolLM2-135M-Instruct"


@pytest.mark.long
def test_smollm2_is_built_at_every_level_and_only_its_weights_tell_nearly_all(tmp_path: Path) -> None:
    if not MODEL.exists():
        missing(f"{MODEL.name}: make models")
    more = f'levels = {json.dumps(LEVELS)}\n[readings]\nprobes = ["p.safetensors"]'
    directory = campaign(
        tmp_path / "c",
        model=f'path = "{MODEL}"',
        sites='["mlp.12"]',
        chosen='select = { method = "kurtosis", count = 4 }',
        texts=80,
        more=more,
    )
    edit(directory, 'document = "block:2"', 'document = "text"')
    edit(directory, "practice = 3", "practice = 15")
    edit(directory, "pool = { practice = 16, held_out = 12 }", "pool = { practice = 20, held_out = 15 }")
    weight = np.random.default_rng(0).normal(size=(2, 576)).astype(np.float32)
    write_vectors(directory / "p.safetensors", weight=weight, metadata={"layer": "10"})
    assert build(directory).targets == 4
    report = json.loads((directory / "build" / "report.json").read_text(encoding="utf-8"))
    told: dict[str, list[float]] = {}
    for one in report["readings"]:
        told.setdefault(one["level"], []).append(one["r2"])
    assert {level: len(each) for level, each in told.items()} == dict.fromkeys(LEVELS[2:], 4)
    assert min(told["weights"]) > 0.9
    assert all(max(told[level]) < min(told["weights"]) for level in ("neighbours", "upstream", "downstream", "probes"))
    gains: dict[str, list[float]] = {}
    for one in (AtLevel(**one) for one in report["players"]["by_level"]):
        gains.setdefault(one.level, []).append(one.gain)
    assert set(gains) == set(LEVELS)
    assert np.mean(gains["weights"]) > 0.1
    assert max(gains, key=lambda level: np.mean(gains[level])) == "weights"
    assert len(read_build(directory / "build")["readings"]) == report["items"] * len(LEVELS[2:])
    assert verify(directory, sample=10).problems == ()
