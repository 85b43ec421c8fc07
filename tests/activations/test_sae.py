"""Latents: equal to a textbook encoding and to SAELens' own, and read only at the place that the SAE was trained at."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file, save_file

from imitable.activations.anatomy import Anatomy, Block, study
from imitable.activations.models import Loaded
from imitable.activations.sae import sae_site
from imitable.activations.sites import Tap
from imitable.errors import CampaignError
from imitable.targets import SaeFile, read_sae

FIXTURES = Path(__file__).parent / "saelens"
ENCODED = load_file(FIXTURES / "encoded.safetensors")
NAMES = sorted(set(ENCODED) - {"inputs"})
ARCHITECTURES = ["standard", "topk", "topk-rescaled", "jumprelu", "gated"]
NORMALIZATIONS = ["none", "constant_norm_rescale", "layer_norm", "expected_average_only_in"]
D_IN, D_SAE = 12, 20


def anatomy(*, hidden: int = D_IN, layers: int = 2, **more: Any) -> Anatomy:
    """A model whose attention has three heads of four."""
    own: dict[str, Any] = {"heads": 3, "head_dim": 4} | more
    blocks = (
        Block(layer, f"h.{layer}", **({"attention": Tap(f"h.{layer}.o", "input")} | own)) for layer in range(layers)
    )
    return Anatomy("tiny", hidden, tuple(blocks))


def by_hand(architecture: str, normalization: str, w: dict[str, Any], x: Any, *, k: int, factor: float) -> Any:
    """(tokens, d_in) float64 -> (tokens, d_sae), one token and one latent after the other, as the papers write it."""
    activations = np.zeros((len(x), D_SAE))
    for row, given in enumerate(x):
        vector = {
            "none": given,
            "constant_norm_rescale": given / np.sqrt((given**2).sum()) * np.sqrt(D_IN),
            "layer_norm": (given - given.mean()) / (given.std(ddof=1) + 1e-5),
            "expected_average_only_in": given * factor,
        }[normalization] - w["b_dec"]
        dots = [float(vector @ w["W_enc"][:, latent]) for latent in range(D_SAE)]
        for latent, dot in enumerate(dots):
            if architecture == "gated":
                magnitude = dot * np.exp(w["r_mag"][latent]) + w["b_mag"][latent]
                activations[row, latent] = max(magnitude, 0) if dot + w["b_gate"][latent] > 0 else 0
                continue
            before = dot + w["b_enc"][latent]
            if architecture == "topk-rescaled":  # the library folds the factor into the decoder too
                norm = np.sqrt((w["W_dec"][latent] ** 2).sum())
                before *= norm / (factor if normalization == "expected_average_only_in" else 1)
            if architecture == "jumprelu":
                before = before if before > w["threshold"][latent] else 0
            activations[row, latent] = max(before, 0)
        if architecture.startswith("topk"):
            smallest = np.sort(activations[row])[-k]
            activations[row][activations[row] < smallest] = 0
    return activations


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_latents_are_those_of_the_textbook(architecture: str, normalization: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    shapes: dict[str, tuple[int, ...]] = {"W_enc": (D_IN, D_SAE), "W_dec": (D_SAE, D_IN), "b_dec": (D_IN,)}
    own = {"gated": ("b_gate", "b_mag", "r_mag"), "jumprelu": ("b_enc", "threshold")}.get(architecture, ("b_enc",))
    shapes |= dict.fromkeys(own, (D_SAE,))
    weights = {name: rng.normal(size=shape).astype(np.float32) * np.float32(0.5) for name, shape in shapes.items()}
    if "threshold" in weights:
        weights["threshold"] = np.abs(weights["threshold"])
    save_file(weights, tmp_path / "sae_weights.safetensors")
    config = {
        "architecture": architecture.removesuffix("-rescaled"),
        "d_in": D_IN,
        "d_sae": D_SAE,
        "normalize_activations": normalization,
        "metadata": {"hook_name": "blocks.1.hook_resid_post"},
    } | ({"k": 5, "rescale_acts_by_decoder_norm": architecture == "topk-rescaled"} if "topk" in architecture else {})
    (tmp_path / "cfg.json").write_text(json.dumps(config))
    (tmp_path / "activation_scaler.json").write_text('{"scaling_factor": 0.6}')
    x = rng.normal(size=(30, D_IN)) * 2 + 0.3
    site = sae_site(read_sae(tmp_path), anatomy(), name="a", loaded=None)
    found = site.reading(torch.from_numpy(x).reshape(5, 6, D_IN), None)
    wide = {name: each.astype(np.float64) for name, each in weights.items()}
    expected = by_hand(architecture, normalization, wide, x, k=5, factor=0.6)
    assert 0.02 < (expected > 0).mean() < 0.9
    np.testing.assert_allclose(found.reshape(30, D_SAE), expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_latents_are_those_of_saelens(name: str) -> None:
    reading = read(FIXTURES / name)
    inputs = torch.from_numpy(ENCODED["inputs"])
    found = reading(inputs, None)
    assert (found > 0).any()
    np.testing.assert_allclose(found, ENCODED[name], atol=5e-6)
    np.testing.assert_array_equal(found > 0, ENCODED[name] > 0)


def test_every_folder_of_fixtures_is_compared() -> None:
    assert {path.parent.name for path in FIXTURES.glob("*/cfg.json")} == set(NAMES)
    assert {f"{a}-{n}" for a in ARCHITECTURES for n in NORMALIZATIONS} < set(NAMES)


@pytest.mark.parametrize("name", ["standard-none", "jumprelu-layer_norm", "gated-none", "topk-none"])
def test_chosen_latents_are_the_same_as_among_all(name: str) -> None:
    reading = pickle.loads(pickle.dumps(read(FIXTURES / name)))  # noqa: S301  # our own, as workers get it
    inputs = torch.from_numpy(ENCODED["inputs"]).reshape(2, 8, D_IN)
    found = reading(inputs, [7, 0, 7])
    assert found.shape == (2, 8, 3)
    np.testing.assert_allclose(found, reading(inputs, None)[..., [7, 0, 7]], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_latents_follow_the_model_to_its_device(name: str) -> None:
    found = read(FIXTURES / name)(torch.empty(2, 8, D_IN, device="meta"), [7, 0, 7])
    assert (found.device.type, found.dtype, tuple(found.shape)) == ("meta", torch.float32, (2, 8, 3))


def test_topk_gives_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imitable.activations.sae._AT_ONCE", 3 * D_SAE)
    found = read(FIXTURES / "topk-none")(torch.from_numpy(ENCODED["inputs"]), [3, 1])
    np.testing.assert_allclose(found, ENCODED["topk-none"][:, [3, 1]], atol=5e-6)


def test_bfloat16_input_is_encoded_in_float32() -> None:
    inputs = torch.from_numpy(ENCODED["inputs"]).bfloat16()
    found = read(FIXTURES / "gated-none")(inputs, None)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found, read(FIXTURES / "gated-none")(inputs.float(), None))


def read(folder: Path) -> Any:
    return sae_site(read_sae(folder), anatomy(), name="a", loaded=None).reading


@pytest.mark.parametrize(
    ("name", "layer", "tap"),
    [
        ("standard-none", 1, Tap("h.1", "output")),
        ("version-5-standard", 1, Tap("h.1", "input")),
        ("hook_z", 0, Tap("h.0.o", "input")),
    ],
)
def test_an_sae_reads_where_it_was_trained(name: str, layer: int, tap: Tap) -> None:
    sae = read_sae(FIXTURES / name)
    site = sae_site(sae, anatomy(hidden=30 if name == "hook_z" else D_IN), name="res8k", layer=layer, loaded=None)
    assert (site.name, site.layer, site.tap) == (f"sae.res8k.{layer}", layer, tap)
    assert (site.d_in, site.width, site.file_hash) == (D_IN, D_SAE, sae.sha256)


@pytest.mark.parametrize(
    ("name", "layer", "model", "message"),
    [
        (
            "standard-none",
            0,
            anatomy(),
            r"trained at layer 1, and layer 0 was asked for\. Ask for sae\.a\.1, or name the",
        ),
        ("standard-none", None, anatomy(layers=1), r"the layers of tiny are 0 to 0\. Name an SAE of this model\.$"),
        (
            "standard-none",
            1,
            anatomy(hidden=16),
            r"reads 12 numbers at hook_resid_post, and tiny has 16 there\. Name an",
        ),
        ("hook_z", 0, anatomy(heads=2), r"reads 12 numbers at attn\.hook_z, and tiny has 8 there"),
        ("hook_z", 0, anatomy(attention=None, attention_refused="No. Go."), r"hook_z cannot be read in tiny, h\.0: No"),
        (
            "standard-none",
            1,
            anatomy(residual_refused="it runs twice. Go."),
            r"resid_post cannot be .*: it runs twice\.",
        ),
    ],
)
def test_an_sae_of_another_place_or_model_is_refused(
    name: str, layer: int | None, model: Anatomy, message: str
) -> None:
    with pytest.raises(CampaignError, match=rf"{name}: .*{message}"):
        sae_site(read_sae(FIXTURES / name), model, name="a", layer=layer, loaded=None)


SMALL: dict[str, Any] = {"vocab_size": 99, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3}
ADDING = {
    "gpt2": lambda: transformers.GPT2Model(transformers.GPT2Config(vocab_size=99, n_embd=12, n_layer=2, n_head=3)),
    "llama": lambda: transformers.LlamaModel(
        transformers.LlamaConfig(**SMALL, intermediate_size=24, num_key_value_heads=3)
    ),
    "gpt-neox": lambda: transformers.GPTNeoXModel(transformers.GPTNeoXConfig(**SMALL, intermediate_size=24)),
}
NORMING = {
    "gemma2": lambda: transformers.Gemma2Model(
        transformers.Gemma2Config(**SMALL, intermediate_size=24, num_key_value_heads=3, head_dim=4)
    ),
    "bert": lambda: transformers.BertModel(transformers.BertConfig(**SMALL, intermediate_size=24)),
    "granite-multiplied": lambda: transformers.GraniteModel(
        transformers.GraniteConfig(**SMALL, intermediate_size=24, num_key_value_heads=3, residual_multiplier=0.5)
    ),
}


def running(model: Any, name: str) -> Loaded:
    torch.manual_seed(0)
    return Loaded(name, model().eval(), None, "", None, {}, {})


def of_the_mlp(folder: Path) -> SaeFile:
    """The standard fixture, as if it had been trained on what the MLP puts out."""
    config = json.loads((FIXTURES / "standard-none" / "cfg.json").read_text())
    config["metadata"]["hook_name"] = "blocks.1.hook_mlp_out"
    (folder / "cfg.json").write_text(json.dumps(config))
    weights = FIXTURES / "standard-none" / "sae_weights.safetensors"
    (folder / "sae_weights.safetensors").write_bytes(weights.read_bytes())
    return read_sae(folder)


@pytest.mark.parametrize("family", ADDING)
def test_what_an_mlp_puts_out_is_read_where_it_is_added_to_the_stream(family: str, tmp_path: Path) -> None:
    loaded = running(ADDING[family], family)
    parts = study(loaded)
    site = sae_site(of_the_mlp(tmp_path), parts, name="a", loaded=loaded)
    mlp = parts.blocks[1].mlp
    assert mlp is not None
    assert site.tap == Tap(mlp.module, "output")
    assert not any(module._forward_hooks for module in loaded.model.modules())


@pytest.mark.parametrize("family", NORMING)
def test_what_an_mlp_puts_out_is_refused_where_something_follows(family: str, tmp_path: Path) -> None:
    loaded = running(NORMING[family], family)
    with pytest.raises(CampaignError, match=r"not added to the residual stream as it is .* SAE of the residual stream"):
        sae_site(of_the_mlp(tmp_path), study(loaded), name="a", loaded=loaded)
