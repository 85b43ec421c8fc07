"""What the levels show beside a text: read on the tokens shown, never of another target, and how much it tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, LlamaConfig, LlamaModel

from building import build_bytes, builtin_model, campaign, edit, save_model
from imitable.commands.build import build
from imitable.commands.verify import verify
from imitable.errors import CampaignError, ImitableError
from imitable.rounds import Gauge, Item, PlayedTarget, Reading
from imitable.store import read_build
from imitable.targets import write_vectors

LEVELS = ["text", "neighbours", "upstream", "downstream", "consult", "weights"]


def levels(*names: str) -> str:
    return f"levels = {json.dumps(names or LEVELS)}"


def report(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "build" / "report.json").read_text(encoding="utf-8"))
    return found


def by_target(directory: Path) -> dict[str, dict[str, list[Gauge]]]:
    found: dict[str, dict[str, list[Gauge]]] = {}
    for gauge in read_build(directory / "build")["gauges"]:
        found.setdefault(gauge.target_id, {}).setdefault(gauge.level, []).append(gauge)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six real neurons of the third layer, at every level that needs no file."""
    directory = campaign(tmp_path_factory.mktemp("levels") / "c", sites='["mlp.2"]', more=levels(), texts=480)
    edit(directory, "pool = { practice = 16, held_out = 12 }", "pool = { practice = 40, held_out = 30 }")
    build(directory)
    return directory


def test_every_item_has_what_each_level_shows_and_no_level_shows_a_target(built: Path) -> None:
    records = read_build(built / "build")
    targets: list[PlayedTarget] = records["targets"]
    played = {f"{one.model_id}/{one.site}/{one.unit}" for one in targets}
    panels = by_target(built)
    assert set(panels) == {one.target_id for one in targets}
    sizes = {}
    for target_id, panel in panels.items():
        assert set(panel) == set(LEVELS) - {"text"}
        for level, gauges in panel.items():
            assert [gauge.place for gauge in gauges] == list(range(len(gauges)))
            assert len({gauge.unit for gauge in gauges}) == len(gauges) if level != "weights" else True
            assert played.isdisjoint(gauge.unit for gauge in gauges)
            assert len(gauges) == (12 if level == "consult" else 8)
            sizes[target_id, level] = len(gauges)
        layers = {level: {int(g.unit.split("/mlp.")[1].split("/")[0]) for g in panel[level]} for level in LEVELS[1:4]}
        assert layers["neighbours"] == {2}
        assert layers["upstream"] <= {0, 1}
        assert layers["downstream"] <= {3, 4}
        assert {gauge.chosen_by for gauge in panel["neighbours"]} == {"direction", "co-activation"}
        assert {gauge.chosen_by for gauge in panel["upstream"]} == {"weight", "correlation"}
        offered = {gauge.unit for gauge in panel["consult"]}
        for level in ("neighbours", "upstream", "downstream"):  # two of each list's best
            assert len({gauge.chosen_by for gauge in panel[level] if gauge.unit in offered}) == 2
    owner = {item.item_id: item.target_id for item in records["items"]}
    readings: list[Reading] = records["readings"]
    assert len(readings) == len(owner) * 5
    for one in readings:
        assert len(one.values) == sizes[owner[one.item_id], one.level]
        if one.level != "weights":
            assert all(len(each) == 1 and abs(each[0]) <= 10 for each in one.values)
    assert verify(built).problems == ()


def test_a_table_of_weights_adds_up_to_what_goes_into_the_neuron(built: Path) -> None:
    records = read_build(built / "build")
    model = AutoModel.from_pretrained(builtin_model()).eval()
    mlp = model.layers[2].mlp
    caught: dict[str, Any] = {}
    for name in ("gate_proj", "up_proj"):
        getattr(mlp, name).register_forward_hook(lambda _m, _a, out, name=name: caught.__setitem__(name, out[0]))
    items: dict[str, Item] = {item.item_id: item for item in records["items"]}
    tables = {one.item_id: one.values for one in records["readings"] if one.level == "weights"}
    weights = {key: panel["weights"] for key, panel in by_target(built).items()}
    for target in records["targets"]:
        mine = [item for item in items.values() if item.target_id == target.target_id]
        shown, real = [], []
        for item in mine:
            with torch.no_grad():
                model(input_ids=torch.tensor([item.token_ids]))
            real.append([float(caught[name][item.position, target.unit]) for name in ("gate_proj", "up_proj")])
            table = tables[item.item_id]
            shown.append([sum(row[1 + part] for row in table) for part in range(2)])
            for row, gauge in zip(table, weights[target.target_id], strict=True):
                for part, weight in enumerate(gauge.weights):
                    assert row[1 + part] == pytest.approx(row[0] * weight, abs=0.006)
        sums, inputs = np.array(shown), np.array(real)
        sign = -1 if target.polarity == "neg" else 1
        assert np.corrcoef(sums[:, 0], inputs[:, 0])[0, 1] > 0.99999
        assert sign * np.corrcoef(sums[:, 1], inputs[:, 1])[0, 1] > 0.99999
        assert np.abs(sums).max(0) == pytest.approx([10, 10], abs=0.01)


def test_readings_of_the_weights_tell_the_truths_and_those_of_other_levels_less(built: Path) -> None:
    told: dict[str, list[float]] = {}
    for one in report(built)["readings"]:
        told.setdefault(one["level"], []).append(one["r2"])
    assert min(told["weights"]) > 0.98
    for level in ("neighbours", "upstream", "downstream", "consult"):
        assert max(told[level]) < min(told["weights"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_in_a_random_net_no_level_but_the_weights_determines_the_truths(tmp_path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=512, hidden_size=48, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=64, initializer_range=0.15,
    )  # fmt: skip
    save_model(LlamaModel(config), tmp_path / "model")
    directory = campaign(
        tmp_path / "c",
        model='path = "../model"',
        sites='["mlp.2"]',
        chosen="units = [0, 1, 2, 3]",
        more=levels("neighbours", "upstream", "downstream", "weights"),
        texts=600,
    )
    edit(directory, "pool = { practice = 16, held_out = 12 }", "pool = { practice = 80, held_out = 60 }")
    build(directory)
    told: dict[str, list[float]] = {}
    for one in report(directory)["readings"]:
        told.setdefault(one["level"], []).append(one["r2"])
    assert min(told["weights"]) > 0.95
    assert all(max(told[level]) < 0.9 for level in ("neighbours", "upstream", "downstream"))


def test_the_same_key_builds_the_same_readings_and_other_levels_are_another_build(tmp_path: Path) -> None:
    def made(name: str, more: str = "") -> dict[str, bytes]:
        directory = campaign(tmp_path / name, sites='["mlp.2"]', chosen="units = [3, 4]", more=more)
        build(directory)
        return build_bytes(directory)

    one, other, plain = made("a", levels()), made("b", levels()), made("c")
    assert one == other
    assert one["items.parquet"] == plain["items.parquet"]
    assert one["truths.parquet"] == plain["truths.parquet"]
    assert not plain.keys() & {"gauges.parquet", "readings.parquet"}


def test_probes_and_declared_units_are_read_as_they_are_named(tmp_path: Path) -> None:
    more = levels("probes", "consult") + '\n[readings]\nprobes = ["p.safetensors"]\nunits = ["mlp.0/5", "mlp.2/9"]'
    directory = campaign(tmp_path / "c", sites='["mlp.2"]', chosen="units = [3, 4]", more=more)
    weight = torch.randn(2, 64, generator=torch.Generator().manual_seed(1)).numpy()
    write_vectors(directory / "p.safetensors", weight=weight, bias=np.ones(2, np.float32), metadata={"layer": "3"})
    build(directory)
    for panel in by_target(directory).values():
        assert [gauge.unit.partition("/")[2] for gauge in panel["probes"]] == ["probe.3.p/0", "probe.3.p/1"]
        assert [gauge.unit.partition("/")[2] for gauge in panel["consult"]] == ["mlp.0/5", "mlp.2/9"]


def test_a_probe_can_be_played_with_its_weights(tmp_path: Path) -> None:
    more = levels("neighbours", "upstream", "weights")
    directory = campaign(tmp_path / "c", sites="[]", chosen='kind = "probe"\nfile = "p.safetensors"', more=more)
    weight = torch.randn(2, 64, generator=torch.Generator().manual_seed(1)).numpy()
    write_vectors(directory / "p.safetensors", weight=weight, bias=np.ones(2, np.float32), metadata={"layer": "2"})
    build(directory)
    assert min(one["r2"] for one in report(directory)["readings"] if one["level"] == "weights") > 0.99
    for panel in by_target(directory).values():
        assert all(gauge.unit.startswith("stories260K/mlp.2/") for gauge in panel["neighbours"])
        assert {gauge.chosen_by for gauge in panel["upstream"]} == {"weight", "correlation"}


def test_a_target_without_anything_to_show_is_left_out_with_the_reason(tmp_path: Path) -> None:
    more = levels("examples", "upstream")
    directory = campaign(tmp_path / "c", sites='["mlp.0", "mlp.1"]', chosen="units = [3, 4]", more=more)
    built = build(directory)
    assert built.targets == 2
    assert {one.reason for one in built.left_out} == {
        "is a neuron of mlp.0 and has no neurons before it, for level upstream"
    }
    lone = campaign(tmp_path / "d", sites='["mlp.0"]', chosen="units = [3, 4]", more=more)
    with pytest.raises(ImitableError, match=r"No target can be played at every level: .*take the level out of"):
        build(lone)
    heads = campaign(
        tmp_path / "e", sites='["head.1.norm"]', chosen='kind = "head"\nunits = [1]', more=levels("weights"), texts=600
    )
    with pytest.raises(ImitableError, match="what it reads of the residual stream is not known"):
        build(heads)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (levels("probes"), r'level "probes" reads probes: name their files, \[readings\] probes = '),
        (levels("telepathy"), r"level 'telepathy' is not one of text, examples, neighbours, upstream, downstream, "),
        (levels("consult") + '\n[readings]\nunits = ["mlp.9/1"]', r"names 'mlp.9/1', which stories260K has not"),
        (levels("consult") + "\n[readings]\nshow = 9", r"table \[readings\], key 'show'"),
        (levels("consult") + '\n[readings]\nunits = ["mlp.0/²"]', r"names 'mlp.0/²', which stories260K has not"),
        (levels("probes") + '\n[readings]\nprobes = ["my p.safetensors"]', r"'my p' cannot stand in a target's id"),
    ],
)
def test_mistakes_are_said_with_what_to_do(tmp_path: Path, more: str, said: str) -> None:
    directory = campaign(tmp_path / "c", sites='["mlp.2"]', chosen="units = [3]", more=more)
    with pytest.raises(CampaignError, match=said):
        build(directory)


PROBE = torch.randn(3, 64, generator=torch.Generator().manual_seed(1)).numpy()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("probe", levels("probes") + '\n[readings]\nprobes = ["p.safetensors"]'),
        ("direction", levels("probes") + '\n[readings]\nprobes = ["p.safetensors"]'),
        ("probe", levels("consult", "probes") + '\n[readings]\nprobes = ["p.safetensors"]\nunits = ["probe.3.p/0"]'),
    ],
)
def test_no_level_shows_a_target_under_another_name(tmp_path: Path, kind: str, more: str) -> None:
    chosen = f'kind = "{kind}"\nfile = "p.safetensors"\nname = "mine"\nunits = [0]'
    directory = campaign(tmp_path / "c", sites="[]", chosen=chosen, more=more)
    write_vectors(directory / "p.safetensors", weight=PROBE, metadata={"layer": "3"})
    if "consult" in more:  # nothing is left to ask for
        with pytest.raises(ImitableError, match="there is nothing to read at level consult"):
            build(directory)
        return
    build(directory)
    [panel] = by_target(directory).values()
    assert [gauge.unit for gauge in panel["probes"]] == ["stories260K/probe.3.p/1", "stories260K/probe.3.p/2"]
    assert max(one["r2"] for one in report(directory)["readings"]) < 0.9


def test_a_copy_of_a_target_in_another_file_is_refused(tmp_path: Path) -> None:
    more = levels("probes") + '\n[readings]\nprobes = ["copy.safetensors"]'
    chosen = 'kind = "probe"\nfile = "p.safetensors"\nunits = [0, 1]'
    directory = campaign(tmp_path / "c", sites="[]", chosen=chosen, more=more)
    write_vectors(directory / "p.safetensors", weight=PROBE, metadata={"layer": "3"})
    write_vectors(directory / "copy.safetensors", weight=-2 * PROBE[1:2], metadata={"layer": "3"})
    with pytest.raises(ImitableError, match=r"probe\.3\.copy/0 would be shown .* it is a copy of the target .*/1"):
        build(directory)


def test_a_neuron_of_the_first_block_has_a_table_of_itself_and_the_rest(tmp_path: Path) -> None:
    directory = campaign(tmp_path / "c", sites='["mlp.0"]', chosen="units = [3, 4]", more=levels("weights"))
    build(directory)
    for panel in by_target(directory).values():
        assert [gauge.chosen_by for gauge in panel["weights"]] == ["token", "rest"]


def test_the_larger_the_sum_the_larger_the_truth_on_either_side_of_a_probe(tmp_path: Path) -> None:
    chosen = 'kind = "probe"\nfile = "p.safetensors"\npolarity = "neg"'
    directory = campaign(tmp_path / "c", sites="[]", chosen=chosen, more=levels("weights"))
    write_vectors(directory / "p.safetensors", weight=PROBE[:2], metadata={"layer": "2"})
    build(directory)
    records = read_build(directory / "build")
    truths = {answer.item_id: answer.truth for answer in records["truths"]}
    for target in records["targets"]:
        mine = {item.item_id for item in records["items"] if item.target_id == target.target_id}
        rows = [
            (sum(row[1] for row in one.values), truths[one.item_id])
            for one in records["readings"]
            if one.item_id in mine
        ]
        seen = np.array(sorted(rows))[:, 1]
        assert (np.diff(seen) >= 0).all()
        assert seen[-1] > seen[0]


def test_a_probe_that_is_read_may_not_change(tmp_path: Path) -> None:
    more = levels("probes") + '\n[readings]\nprobes = ["p.safetensors"]'
    directory = campaign(tmp_path / "c", sites='["mlp.2"]', chosen="units = [3, 4]", more=more)
    write_vectors(directory / "p.safetensors", weight=PROBE, metadata={"layer": "3"})
    build(directory)
    write_vectors(directory / "p.safetensors", weight=2 * PROBE, metadata={"layer": "3"})
    [problem] = verify(directory).problems
    assert "p.safetensors is not the file that was built from. Put the old one back" in problem


def test_building_leaves_torch_its_threads(tmp_path: Path) -> None:
    directory = campaign(
        tmp_path / "c", sites='["mlp.2"]', chosen="units = [3, 4]", more=levels("neighbours", "weights")
    )
    torch.set_num_threads(2)
    try:
        build(directory)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
