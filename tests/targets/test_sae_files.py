"""SAELens folders: what would change a latent's activation and is not known is refused by name, with the way out."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from imitable.errors import CampaignError
from imitable.targets import read_sae

D_IN, D_SAE = 4, 6
RNG = np.random.default_rng(0)


def sae(folder: Path, *, metadata: dict[str, Any] | None = None, without: str = "", **config: Any) -> Path:
    """A folder in the layout of SAELens 6, with keys changed."""
    folder.mkdir(exist_ok=True)
    shapes = {"W_enc": (D_IN, D_SAE), "W_dec": (D_SAE, D_IN), "b_enc": (D_SAE,), "b_dec": (D_IN,)}
    save_file(
        {name: RNG.normal(size=shape).astype(np.float32) for name, shape in shapes.items()},
        folder / "sae_weights.safetensors",
    )
    about = {"hook_name": "blocks.2.hook_resid_post", "model_name": "tiny"} | (metadata or {})
    found = {"architecture": "standard", "d_in": D_IN, "d_sae": D_SAE, "dtype": "float32", "metadata": about} | config
    found.pop(without, None)
    (folder / "cfg.json").write_text(json.dumps(found))
    return folder


def old(folder: Path, **config: Any) -> Path:
    """A folder in the older layout; None removes a key."""
    sae(folder)
    found = {
        "d_in": D_IN,
        "d_sae": D_SAE,
        "hook_name": "blocks.2.hook_resid_pre",
        "hook_head_index": None,
        "activation_fn_str": "relu",
        "model_from_pretrained_kwargs": {},
        "lr": 0.001,
    } | config
    (folder / "cfg.json").write_text(json.dumps(found))
    return folder


def change_weights(folder: Path, **changes: Any) -> Path:
    """Change tensors; None removes one."""
    path = folder / "sae_weights.safetensors"
    tensors = {name: each for name, each in (load_file(path) | changes).items() if each is not None}
    save_file(tensors, path)
    return folder


@pytest.mark.parametrize("hook", ["hook_resid_pre", "hook_resid_post", "hook_mlp_out", "attn.hook_z"])
def test_both_layouts_say_where_the_sae_reads(hook: str, tmp_path: Path) -> None:
    name = {"hook_name": f"blocks.11.{hook}"}
    reshape = {"reshape_activations": "hook_z" if hook == "attn.hook_z" else "none"}
    for found in (read_sae(sae(tmp_path / "new", metadata=name, **reshape)), read_sae(old(tmp_path / "old", **name))):
        assert (found.place, found.layer, found.d_in, found.d_sae) == (hook, 11, D_IN, D_SAE)
        assert sorted(found.weights) == ["W_enc", "b_dec", "b_enc"]


def test_the_oldest_names_of_keys_are_known(tmp_path: Path) -> None:
    folder = old(tmp_path / "sae", hook_point="blocks.5.hook_resid_pre")
    config = json.loads((folder / "cfg.json").read_text())
    del config["hook_name"]
    (folder / "cfg.json").write_text(json.dumps(config))
    assert read_sae(folder).layer == 5


def test_the_hash_is_of_configuration_and_weights(tmp_path: Path) -> None:
    folder = sae(tmp_path / "sae")
    hashes = {read_sae(folder).sha256, read_sae(folder).sha256}
    (folder / "cfg.json").write_text((folder / "cfg.json").read_text() + " ")
    hashes.add(read_sae(folder).sha256)
    change_weights(folder, b_enc=np.ones(D_SAE, np.float32))
    hashes.add(read_sae(folder).sha256)
    assert len(hashes) == 3


@pytest.mark.parametrize("named", ["transcoder", "temporal", "matching_pursuit", "abstopk", "mystery"])
def test_other_architectures_are_refused_by_name(named: str, tmp_path: Path) -> None:
    with pytest.raises(
        CampaignError, match=rf"cfg\.json: architecture '{named}' is not supported; standard, relu, top"
    ):
        read_sae(sae(tmp_path / "sae", architecture=named))


@pytest.mark.parametrize("named", ["batchtopk", "matryoshka_batchtopk"])
def test_an_sae_in_training_says_how_to_save_it(named: str, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=rf"'{named}' is an SAE in training.*save_inference_model, which makes a"):
        read_sae(sae(tmp_path / "sae", architecture=named))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"normalize_activations": "covariance_whitening"},
            r"normalize_activations 'covariance_whitening' is not supp",
        ),
        ({"normalize_activations": "expected_average_only_in"}, r"no activation_scaler\.json beside it says by which"),
        ({"shiny": 1}, r"key 'shiny' is not known here and might change the activations\. Save the SAE with"),
        ({"d_out": 4}, r"it has 'd_out', so it is a transcoder, which is not read\. Choose another SAE\.$"),
        (
            {"metadata": {"hook_name": "blocks.2.mlp.hook_in", "hook_name_out": "x"}},
            r"it has 'hook_name_out', so it is",
        ),
        ({"metadata": {"hook_name": "blocks.2.hook_attn_out"}}, r"hook_name 'blocks\.2\.hook_attn_out' is not a place"),
        (
            {"metadata": {"hook_name": None}},
            r"hook_name None is not a place that is read here; blocks\.L\. followed by hook_resid_pre",
        ),
        ({"metadata": {"hook_name": "blocks.2.hook_resid_pre", "hook_head_index": 3}}, r"it reads head 3 alone"),
        ({"reshape_activations": "hook_z"}, r"reshape_activations is 'hook_z' at hook_resid_post, which is not supp"),
        ({"metadata": {"hook_name": "blocks.2.attn.hook_z"}}, r"reshape_activations is 'none' at attn\.hook_z"),
        ({"d_in": "4"}, r"d_in is '4' and not a number of 1 or more\. Correct it\.$"),
        ({"d_sae": 0}, r"d_sae is 0 and not a number"),
        ({"d_in": 5}, r"tensor 'W_enc': its shape is \(4, 6\), and d_in and d_sae in cfg\.json make it \(5, 6\)\."),
        ({"architecture": "topk"}, r"k is None and not a number of 1 or more"),
        ({"architecture": "topk", "k": 7}, r"k is 7, and there are only 6 latents"),
        ({"architecture": "jumprelu"}, r"has no tensor 'threshold', which a jumprelu SAE has"),
        ({"architecture": "gated"}, r"tensor 'b_enc' is not one of a gated SAE|has no tensor 'b_gate', which a gated"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=message):
        read_sae(sae(tmp_path / "sae", **config))


@pytest.mark.parametrize("key", ["center_writing_weights", "fold_ln", "fold_value_biases"])
def test_an_sae_of_a_processed_model_is_refused(key: str, tmp_path: Path) -> None:
    def both(processed: bool) -> list[Path]:
        kwargs = {"model_from_pretrained_kwargs": {key: processed}}
        return [sae(tmp_path / "new", metadata=kwargs), old(tmp_path / "old", **kwargs)]

    for folder in both(False):
        read_sae(folder)
    for folder in both(True):
        with pytest.raises(
            CampaignError, match=rf"processed on loading \({key}\).* would be wrong\. Choose another SAE"
        ):
            read_sae(folder)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"activation_fn_str": "tanh-relu"}, r"activation function 'tanh-relu' of a standard SAE is not supported"),
        ({"activation_fn_str": "topk"}, r"k is None and not a number of 1 or more"),
        ({"activation_fn_str": "topk", "architecture": "gated"}, r"function 'topk' of a gated SAE is not supported"),
        ({"model_from_pretrained_kwargs": None}, r'add to cfg\.json: "model_from_pretrained_kwargs": \{\}$'),
        ({"hook_head_index": 0}, r"it reads head 0 alone \(hook_head_index\), which is not supported"),
        ({"normalize_activations": True}, r"expected_average_only_in, and no activation_scaler\.json"),
    ],
)
def test_what_is_not_supported_in_the_older_layout_is_refused_too(
    config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(CampaignError, match=message):
        read_sae(old(tmp_path / "sae", **config))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"W_skip": np.zeros((4, 4), np.float32)}, r"tensor 'W_skip' is not one of a standard SAE"),
        ({"b_dec": None}, r"has no tensor 'b_dec', which a standard SAE has"),
        ({"b_enc": np.full(D_SAE, np.nan, np.float32)}, r"tensor 'b_enc': it holds NaN or infinite values"),
        ({"scaling_factor": np.full(D_SAE, 2, np.float32)}, r"a finetuning scaling_factor other than 1"),
    ],
)
def test_weights_that_do_not_fit_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=message):
        read_sae(change_weights(sae(tmp_path / "sae"), **changes))


@pytest.mark.parametrize("factor", [None, 0, -1.0, True, "2"])
def test_a_scaling_factor_that_is_none_is_named(factor: object, tmp_path: Path) -> None:
    folder = sae(tmp_path / "sae", normalize_activations="expected_average_only_in")
    (folder / "activation_scaler.json").write_text(json.dumps({"scaling_factor": factor}))
    with pytest.raises(CampaignError, match=r"activation_scaler\.json: scaling_factor is .* not a positive number"):
        read_sae(folder)


@pytest.mark.parametrize("content", [None, "{", "[1]"])
def test_a_folder_that_is_no_sae_is_said(content: str | None, tmp_path: Path) -> None:
    folder = sae(tmp_path / "sae")
    (folder / "cfg.json").unlink()
    if content:
        (folder / "cfg.json").write_text(content)
    with pytest.raises(CampaignError, match=r"cfg\.json (cannot be read .* as SAELens saves it|holds no JSON object)"):
        read_sae(folder)


def test_missing_weights_are_said(tmp_path: Path) -> None:
    folder = sae(tmp_path / "sae")
    (folder / "sae_weights.safetensors").unlink()
    with pytest.raises(CampaignError, match=r"sae_weights\.safetensors is not a readable safetensors file"):
        read_sae(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)
KEYS = (
    "architecture d_in d_sae k metadata normalize_activations reshape_activations apply_b_dec_to_input hook_name "
    "hook_head_index activation_fn_str activation_fn_kwargs model_from_pretrained_kwargs d_out"
)


@given(key=st.sampled_from(KEYS.split()), value=JSON, new=st.booleans())
def test_whatever_stands_in_the_configuration_is_an_error_in_our_words(
    key: str, value: object, new: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("sae") / "sae"
    (sae if new else old)(folder)
    path = folder / "cfg.json"
    config = json.loads(path.read_text())
    (config["metadata"] if new and key in ("hook_name", "model_from_pretrained_kwargs") else config)[key] = value
    path.write_text(json.dumps(config))
    with suppress(CampaignError):
        read_sae(folder)
