"""Directions and probes as sites: read from a block's output, by the formula, and only where they belong."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imitable.activations.anatomy import Anatomy, Block, study
from imitable.activations.models import load_model
from imitable.activations.running import Work, columns
from imitable.activations.shards import Shard
from imitable.activations.sites import Tap
from imitable.activations.vectors import vector_site
from imitable.activations.windows import windows
from imitable.campaign import Model
from imitable.errors import CampaignError
from imitable.targets import Vectors, read_vectors, write_vectors

ANATOMY = Anatomy("tiny", 6, (Block(0, "h.0"), Block(1, "h.1"), Block(2, "h.2", "it runs twice. Choose another.")))
RNG = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(np.float32)


def probes(path: Path, *, width: int = 6, **metadata: str) -> Vectors:
    """Two probes, with all that a probe may have."""
    file = path / "probes.safetensors"
    write_vectors(
        file,
        weight=floats(2, width),
        bias=floats(2),
        mean=floats(width),
        scale=np.abs(floats(width)) + 0.1,
        metadata=metadata,
    )
    return read_vectors(file)


@pytest.mark.parametrize("units", [None, [1], [1, 0]])
def test_a_probe_is_read_by_its_formula_from_the_output_of_its_block(units: list[int] | None, tmp_path: Path) -> None:
    vectors = probes(tmp_path, layer="1")
    site = vector_site(vectors, ANATOMY, kind="probe", name="french", model_sha256=None)
    assert (site.name, site.layer, site.tap) == ("probe.1.french", 1, Tap("h.1", "output"))
    assert (site.d_in, site.width, site.file_hash) == (6, 2, vectors.sha256)
    x = floats(3, 4, 6)
    expected = ((x - vectors.mean) / vectors.scale) @ vectors.weight.T + vectors.bias
    reading = pickle.loads(pickle.dumps(site.reading))  # noqa: S301  # our own, as workers get it
    found = reading(torch.from_numpy(x).double(), units)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, expected if units is None else expected[..., units], atol=1e-5)


def test_a_probe_follows_the_model_to_its_device(tmp_path: Path) -> None:
    site = vector_site(probes(tmp_path), ANATOMY, kind="probe", name="a", layer=0, model_sha256=None)
    found = site.reading(torch.empty(3, 4, 6, device="meta", dtype=torch.bfloat16), [1])
    assert (found.device.type, found.dtype, tuple(found.shape)) == ("meta", torch.float32, (3, 4, 1))


def test_a_direction_is_a_dot_product(tmp_path: Path) -> None:
    write_vectors(tmp_path / "a.safetensors", weight=floats(3, 6))
    vectors = read_vectors(tmp_path / "a.safetensors")
    site = vector_site(vectors, ANATOMY, kind="direction", name="up-1", layer=0, model_sha256=None)
    x = floats(5, 6)
    assert (site.name, site.width) == ("direction.0.up-1", 3)
    np.testing.assert_allclose(site.reading(torch.from_numpy(x), [2]), x @ vectors.weight[2:].T, atol=1e-5)


@pytest.mark.parametrize(
    ("metadata", "layer", "message"),
    [
        ({}, None, r"nothing says which block's output it reads\. Write layer = L beside file in \[\[targets\]\]\.$"),
        ({"layer": "1"}, 0, r"made for layer 1, and layer 0 was asked for\. Ask for layer 1\.$"),
        ({"layer": "7"}, None, r"tiny has no layer 7; its layers are 0 to 2\. Correct the layer\.$"),
        ({}, -1, r"tiny has no layer -1; its layers are 0 to 2\."),
        ({"layer": "2"}, None, r"residual stream of tiny, h\.2, cannot be read: it runs twice\. Choose another\.$"),
        (
            {"layer": "1", "model_sha256": "f" * 64, "model_id": "other"},
            1,
            r"trained on another model \(other, hash ffffffffffff; tiny has 000000000000\)\. Train it on this model: "
            "imitable train-probe$",
        ),
    ],
)
def test_a_probe_that_does_not_belong_here_is_refused(
    metadata: dict[str, Any], layer: int | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CampaignError, match=rf"probes\.safetensors: .*{message}"):
        vector_site(probes(tmp_path, **metadata), ANATOMY, kind="probe", name="a", layer=layer, model_sha256="0" * 64)


def test_a_probe_of_the_wrong_width_names_both_widths(tmp_path: Path) -> None:
    with pytest.raises(
        CampaignError, match=r"a probe of the wrong width: it reads 5 numbers, .* tiny has 6\. Name the"
    ):
        vector_site(probes(tmp_path, width=5), ANATOMY, kind="probe", name="a", layer=0, model_sha256=None)


def test_a_probe_is_no_direction(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r'it has a bias, mean or scale, .* Write kind = "probe"\.$'):
        vector_site(probes(tmp_path), ANATOMY, kind="direction", name="a", layer=0, model_sha256=None)


def test_a_name_that_no_id_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"'probe\.0\.a b' is not a site"):
        vector_site(probes(tmp_path), ANATOMY, kind="probe", name="a b", layer=0, model_sha256=None)


def test_the_last_block_is_read_before_the_final_norm(tmp_path: Path) -> None:
    loaded = load_model(Model(path="builtin:stories260K"), base=tmp_path)
    anatomy = study(loaded)
    last = len(anatomy.blocks) - 1
    vectors = probes(tmp_path, width=64, layer=str(last), model_sha256=loaded.sha256)
    site = vector_site(vectors, anatomy, kind="probe", name="a", model_sha256=loaded.sha256)
    text = "One day a little girl named Lily went to the park with her red ball and saw a big dog there."
    cut = windows(loaded, [text], documents=[0], shortest=12, longest=64)
    read = columns(loaded, Shard.of(cut), Work((site,), {site.name: (0, 1)}, "float32"))[site.name]
    with torch.no_grad():
        outputs = loaded.model(input_ids=torch.tensor([cut[0].token_ids]), output_hidden_states=True).hidden_states
        x = loaded.model.layers[last](
            outputs[last],
            position_embeddings=loaded.model.rotary_emb(outputs[last], torch.arange(outputs[0].shape[1])[None]),
        )[0]
    x = x.reshape(-1, 64).numpy()
    assert not np.allclose(x, outputs[-1][0].numpy(), atol=0.1)
    expected = ((x - vectors.mean) / vectors.scale) @ vectors.weight.T + vectors.bias
    np.testing.assert_allclose(read, expected, atol=1e-3)
