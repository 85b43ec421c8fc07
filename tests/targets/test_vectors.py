"""Files of directions and probes: what is written is read, and what cannot be read is named."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from imitable.errors import CampaignError
from imitable.targets import read_vectors, write_vectors

WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)


@given(
    weight=hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-9, 9, width=32)),
    metadata=st.dictionaries(st.sampled_from(["model_id", "label", "trained_on"]), st.text(max_size=9)),
)
def test_what_is_written_is_read(
    weight: npt.NDArray[np.float32], metadata: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("vectors") / "probes" / "a.safetensors"
    scale = np.full(weight.shape[1], 2, np.float32)
    sha256 = write_vectors(
        path, weight=weight, bias=weight[:, 0], mean=weight[0], scale=scale, metadata=metadata | {"layer": "3"}
    )
    read = read_vectors(path)
    for found, written in (
        (read.weight, weight),
        (read.bias, weight[:, 0]),
        (read.mean, weight[0]),
        (read.scale, scale),
    ):
        np.testing.assert_array_equal(found, written)
    assert (read.layer, read.sha256, read.metadata) == (3, sha256, metadata | {"layer": "3"})
    assert [each.name for each in path.parent.iterdir()] == ["a.safetensors"]


def test_weights_alone_are_enough(tmp_path: Path) -> None:
    save_file({"weight": WEIGHT[1]}, tmp_path / "one.safetensors")
    read = read_vectors(tmp_path / "one.safetensors")
    np.testing.assert_array_equal(read.weight, WEIGHT[1:2])
    np.testing.assert_array_equal(read.bias, [0])
    assert (read.mean, read.scale, read.layer, read.plain) == (None, None, None, True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_floats_of_every_size_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    weight = torch.linspace(-3, 3, 20).reshape(4, 5).to(dtype)
    save_torch({"bias": torch.ones(4, dtype=dtype), "weight": weight}, tmp_path / "a.safetensors")
    read = read_vectors(tmp_path / "a.safetensors")
    assert read.weight.dtype == np.float32
    np.testing.assert_array_equal(read.weight, weight.float().numpy())
    np.testing.assert_array_equal(read.bias, np.ones(4))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": None}, r"a\.safetensors: it has no 'weight'\. .* rename them\.$"),
        ({"thing": WEIGHT}, r"a\.safetensors: it holds 'thing'\. A file of directions or probes holds weight, bias"),
        ({"weight": WEIGHT.reshape(1, 3, 4)}, r"tensor 'weight': its shape is \(1, 3, 4\)\. Save it as \(n, d\)"),
        ({"weight": np.zeros((0, 4), np.float32)}, r"tensor 'weight': its shape is \(0, 4\)\. Save it as \(n, d\)"),
        ({"weight": WEIGHT.astype(np.int32)}, r"tensor 'weight': it holds I32 and not floats\. Save it as float32"),
        ({"weight": WEIGHT * np.float32("nan")}, r"tensor 'weight': it holds NaN or infinite values.*Mend what wrote"),
        (
            {"weight": WEIGHT.astype(np.float64) * 1e300},
            r"tensor 'weight': it holds NaN or infinite values \(in float32\)\.",
        ),
        ({"bias": WEIGHT[0]}, r"tensor 'bias': its shape is \(4,\) beside a weight of \(3, 4\)\. Save it as \(3,\)\.$"),
        ({"mean": WEIGHT[0, :3]}, r"tensor 'mean': its shape is \(3,\) .* Save it as \(4,\)\.$"),
        ({"scale": WEIGHT[0]}, r"tensor 'scale': entry 0 is 0, .* Leave constant coordinates at a scale of 1\.$"),
        ({"scale": -WEIGHT[1]}, r"tensor 'scale': entry 0 is -4, "),
    ],
)
def test_a_file_that_makes_no_sense_is_named(
    changes: dict[str, npt.NDArray[np.float32] | None], message: str, tmp_path: Path
) -> None:
    tensors = {name: each for name, each in ({"weight": WEIGHT} | changes).items() if each is not None}
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(CampaignError, match=message):
        read_vectors(tmp_path / "a.safetensors")


def test_a_layer_that_is_no_number_is_named(tmp_path: Path) -> None:
    save_file({"weight": WEIGHT}, tmp_path / "a.safetensors", metadata={"layer": "three"})
    with pytest.raises(CampaignError, match=r"its metadata says layer 'three'\. Write the block's number"):
        read_vectors(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["a.pt", "a.bin", "a.pkl", "a.npy", "a.safetensors", "torch.safetensors"])
def test_pickles_are_refused_with_the_way_out_and_never_opened(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, np.array([print], dtype=object), allow_pickle=True)
    elif name.startswith("torch"):
        torch.save({"weight": torch.ones(2)}, path)
    else:
        path.write_bytes(pickle.dumps({"weight": [1.0]}))
    with pytest.raises(CampaignError, match=r"is a pickle or may hold one.*save_file\(tensors, 'NAME\.safetensors'\)$"):
        read_vectors(path)


@pytest.mark.parametrize("damage", ["missing", "short", "text", "folder", "empty"])
def test_what_is_no_safetensors_file_is_an_error_in_our_words(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    if damage == "short":
        write_vectors(path, weight=WEIGHT)
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_text("" if damage == "empty" else "hello, I am a text of some length")
    with pytest.raises(CampaignError, match=r"a\.safetensors is not a readable safetensors file .* write it again\.$"):
        read_vectors(path)


def test_equal_content_makes_equal_bytes_and_another_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    about = {"b": "1", "a": "é"}
    write_vectors(path, weight=WEIGHT, metadata=about)
    first = path.read_bytes()
    write_vectors(path, weight=WEIGHT, metadata=dict(reversed(about.items())), replace=False)
    assert path.read_bytes() == first
    with pytest.raises(CampaignError, match=r"is there already and is another\. Remove it, or choose another name\.$"):
        write_vectors(path, weight=WEIGHT + 1, replace=False)
    assert path.read_bytes() == first


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CampaignError, match=r"cannot be written .* choose another place\.$"):
        write_vectors(tmp_path / "file" / "a.safetensors", weight=WEIGHT)
