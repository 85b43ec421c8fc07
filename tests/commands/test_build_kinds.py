"""Targets of every kind in one campaign: built, verified, and equal to what a bare model and the textbook give."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaModel

from building import builtin_model, campaign, edit
from imitable.commands.build import build
from imitable.commands.verify import verify
from imitable.errors import CampaignError, ImitableError
from imitable.rounds import AnswerKey, Item, PlayedTarget
from imitable.store import read_build
from imitable.targets import write_vectors

TABLES = """
[[targets]]
kind = "head"
sites = ["head.1.norm"]
units = [0, 3]
[[targets]]
kind = "head"
sites = ["head.2.along-way"]
file = "files/way.safetensors"
units = [5]
[[targets]]
kind = "direction"
file = "files/two.safetensors"
layer = 4
[[targets]]
kind = "probe"
file = "files/french.safetensors"
[[targets]]
kind = "latent"
file = "files/res"
select = { method = "random", count = 2 }
[episode]
"""

WIDTH = 64


def random(*shape: int, seed: int) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def write_files(folder: Path) -> None:
    """A direction for heads, two directions, a probe for block 3 and a ReLU SAE before block 2."""
    folder.mkdir()
    write_vectors(folder / "way.safetensors", weight=random(1, WIDTH, seed=1).numpy())
    write_vectors(folder / "two.safetensors", weight=random(2, WIDTH, seed=2).numpy())
    write_vectors(
        folder / "french.safetensors",
        weight=random(1, WIDTH, seed=3).numpy(),
        bias=np.array([0.5], np.float32),
        mean=random(WIDTH, seed=4).numpy(),
        scale=1 + random(WIDTH, seed=5).abs().numpy(),
        metadata={"layer": "3"},
    )
    (folder / "res").mkdir()
    cfg = {
        "architecture": "standard",
        "d_in": WIDTH,
        "d_sae": 32,
        "dtype": "float32",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"hook_name": "blocks.2.hook_resid_pre", "model_name": "stories260K"},
    }
    (folder / "res" / "cfg.json").write_text(json.dumps(cfg))
    weights = {
        "W_enc": random(WIDTH, 32, seed=6),
        "b_enc": random(32, seed=7) - 1,
        "W_dec": random(32, WIDTH, seed=8),
        "b_dec": random(WIDTH, seed=9) * 0.1,
    }
    save_file(weights, folder / "res" / "sae_weights.safetensors")


def with_kinds(path: Path) -> Path:
    directory = campaign(path, chosen="units = [4]")
    write_files(directory / "files")
    edit(directory, "[episode]", TABLES)
    return directory


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = with_kinds(tmp_path_factory.mktemp("kinds") / "c")
    build(directory)
    return directory


def by_hand() -> Callable[[list[int]], dict[str, Any]]:
    """Every target's activations at all tokens of one text, by site, (tokens, units): nothing of imitable's is used."""
    model = LlamaModel.from_pretrained(builtin_model(), dtype=torch.float32).eval()
    blocks: dict[int, Any] = {}
    mixed: dict[int, Any] = {}
    for number, layer in enumerate(model.layers):
        layer.register_forward_hook(lambda _m, _a, out, number=number: blocks.__setitem__(number, out))
        layer.self_attn.o_proj.register_forward_pre_hook(
            lambda _m, args, number=number: mixed.__setitem__(number, args[0][0])
        )

    def head_outputs(number: int) -> Any:
        z, weight = mixed[number], model.layers[number].self_attn.o_proj.weight
        size = z.shape[-1] // model.config.num_attention_heads
        return torch.stack([z[:, at : at + size] @ weight[:, at : at + size].T for at in range(0, z.shape[-1], size)])

    def forward(token_ids: list[int]) -> dict[str, Any]:
        with torch.no_grad():
            model(input_ids=torch.tensor([token_ids]), use_cache=False)
            x = {number: out[0] if isinstance(out, tuple) else out for number, out in blocks.items()}
            x = {number: out.reshape(len(token_ids), -1) for number, out in x.items()}
            probed = (x[3] - random(WIDTH, seed=4)) / (1 + random(WIDTH, seed=5).abs())
            latents = (x[1] - random(WIDTH, seed=9) * 0.1) @ random(WIDTH, 32, seed=6) + random(32, seed=7) - 1
            return {
                "head.1.norm": head_outputs(1).norm(dim=-1).T,
                "head.2.along-way": (head_outputs(2) @ random(1, WIDTH, seed=1)[0]).T,
                "direction.4.two": x[4] @ random(2, WIDTH, seed=2).T,
                "probe.3.french": probed @ random(1, WIDTH, seed=3).T + 0.5,
                "sae.res.2": torch.relu(latents),
            }

    return forward


def test_truths_of_every_kind_are_those_of_the_textbook(built: Path) -> None:
    records = read_build(built / "build")
    answers: dict[str, AnswerKey] = {answer.item_id: answer for answer in records["truths"]}
    targets: dict[str, PlayedTarget] = {target.target_id: target for target in records["targets"]}
    forward, seen = by_hand(), set()
    items: list[Item] = records["items"]
    for item in items:
        target = targets[item.target_id]
        if target.kind != "neuron":
            expected = forward(list(item.token_ids))[target.site][:, target.unit].numpy()
            np.testing.assert_allclose(answers[item.item_id].values, expected, atol=2e-5)
            seen.add(target.kind)
    assert seen == {"head", "direction", "probe", "latent"}


def test_ids_polarity_and_hashes_follow_the_contract(built: Path) -> None:
    targets: list[PlayedTarget] = read_build(built / "build")["targets"]
    ids = {target.target_id for target in targets}
    assert {
        "stories260K/head.1.norm/0",
        "stories260K/direction.4.two/1:both",
        "stories260K/probe.3.french/0:both",
    } <= ids
    by_kind = {target.kind: target for target in targets}
    assert by_kind["latent"].polarity == "pos"
    assert len({target.file_hash for target in targets}) == 5
    report = json.loads((built / "build" / "report.json").read_text())
    assert by_kind["neuron"].file_hash == report["models"][0]["sha256"]


def test_every_kind_is_verified(built: Path) -> None:
    seen = verify(built, sample=10**6)
    assert seen.problems == ()
    assert seen.largest < 1e-4


MISTAKES: dict[str, tuple[str, str, type[ImitableError], str]] = {
    "a probe asked for at another layer": (
        'file = "files/french.safetensors"',
        'file = "files/french.safetensors"\nlayer = 1',
        CampaignError,
        r"french\.safetensors: it was made for layer 3, and layer 1 was asked for",
    ),
    "a direction that no layer is named for": (
        "layer = 4",
        "",
        CampaignError,
        r"two\.safetensors: nothing says which block's output it reads",
    ),
    "an SAE for another site": (
        'kind = "latent"',
        'kind = "latent"\nsites = ["sae.res.4"]',
        CampaignError,
        r"res.*layer 2.*4",
    ),
    "a site that the file does not make": (
        'file = "files/french.safetensors"',
        'file = "files/french.safetensors"\nsites = ["probe.3.german"]',
        CampaignError,
        r"is the site probe\.3\.french, and not probe\.3\.german\. Correct",
    ),
    "a head that is not there": ("units = [0, 3]", "units = [0, 8]", CampaignError, r"head\.1\.norm has units 0 to 7"),
    "a file that is not there": (
        "files/two.safetensors",
        "files/three.safetensors",
        CampaignError,
        r"three\.safetensors",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_does_not_fit_is_named(mistake: str, tmp_path: Path) -> None:
    old, new, kind, said = MISTAKES[mistake]
    directory = with_kinds(tmp_path / "c")
    edit(directory, old, new)
    with pytest.raises(kind, match=said):
        build(directory)
    assert not (directory / "build").exists()
    assert not (directory / ".build-work").exists()


def test_a_probe_of_the_wrong_width_is_named(tmp_path: Path) -> None:
    directory = with_kinds(tmp_path / "c")
    (directory / "files" / "french.safetensors").unlink()
    write_vectors(
        directory / "files" / "french.safetensors", weight=np.ones((1, 65), np.float32), metadata={"layer": "3"}
    )
    with pytest.raises(CampaignError, match=r"a probe of the wrong width: it reads 65 numbers, .* has 64"):
        build(directory)


def test_a_pickled_probe_is_refused_with_the_way_to_convert_it(tmp_path: Path) -> None:
    directory = with_kinds(tmp_path / "c")
    torch.save({"weight": torch.ones(1, 64)}, directory / "files" / "french.safetensors")
    with pytest.raises(CampaignError, match=r"pickle.*save_file"):
        build(directory)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    directory = with_kinds(tmp_path / "c")
    again = '[[targets]]\nkind = "probe"\nfile = "files/two.safetensors"\nname = "french"\nlayer = 3\n[episode]'
    edit(directory, "[episode]", again)
    with pytest.raises(
        CampaignError, match=r"Two files would both be probe\.3\.french, files/two\.safetensors among them"
    ):
        build(directory)
