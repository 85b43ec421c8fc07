"""Files of directions and probes: rows of weights on the residual stream, in safetensors."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imitable.errors import CampaignError
from imitable.targets.tensors import Floats, open_tensors

_TENSORS = ("weight", "bias", "mean", "scale")


@dataclass(frozen=True, eq=False)
class Vectors:
    """Directions, or linear probes `((x - mean) / scale) · weight + bias`, on a residual stream of width d."""

    path: Path
    """The file that they were read from."""
    weight: Floats
    """(n, d): one row a direction or probe."""
    bias: Floats
    """(n,): zeros where the file has none."""
    mean: Floats | None
    """(d,): taken from what is read, before the weights; None: nothing is."""
    scale: Floats | None
    """(d,): what is read is divided by it, before the weights; all positive; None: by nothing."""
    layer: int | None
    """0-based block whose output they read, where the file says so."""
    sha256: str
    """Hash of the file."""
    metadata: dict[str, str]
    """What else the file says of itself: `model_id`, `model_sha256`, `trained_on`, `auroc_held_out`, `label`..."""

    @property
    def plain(self) -> bool:
        """Nothing but weights: no bias, no standardisation."""
        return self.mean is None and self.scale is None and not self.bias.any()


def read_vectors(path: Path) -> Vectors:
    """Read `weight` (n, d) or (d,), and if there `bias` (n,), `mean` (d,), `scale` (d,); `layer` from the metadata.

    Raises CampaignError naming the file and the tensor for anything else than finite floats of these shapes.
    """
    file = open_tensors(path)
    unknown = sorted(set(file.shapes) - set(_TENSORS))
    if unknown or "weight" not in file.shapes:
        what = f"it holds '{unknown[0]}'" if unknown else "it has no 'weight'"
        raise CampaignError(f"{path}: {what}. A file of directions or probes holds {', '.join(_TENSORS)}: rename them.")
    weight = file.read("weight")
    if weight.ndim == 1:
        weight = weight[None]
    if weight.ndim != 2 or weight.size == 0:
        raise CampaignError(
            f"{path}, tensor 'weight': its shape is {file.shapes['weight']}. Save it as (n, d), a row a direction."
        )
    rows, width = weight.shape
    bias = file.read("bias") if "bias" in file.shapes else np.zeros(rows, np.float32)
    if bias.size == 1 and rows == 1:
        bias = bias.reshape(1)
    mean, scale = (file.read(name) if name in file.shapes else None for name in ("mean", "scale"))
    for name, values, wanted in (("bias", bias, rows), ("mean", mean, width), ("scale", scale, width)):
        if values is not None and values.shape != (wanted,):
            raise CampaignError(
                f"{path}, tensor '{name}': its shape is {values.shape} beside a weight of {weight.shape}. "
                f"Save it as ({wanted},)."
            )
    if scale is not None and not (scale > 0).all():
        at = int(np.flatnonzero(scale <= 0)[0])
        raise CampaignError(
            f"{path}, tensor 'scale': entry {at} is {scale[at]:g}, and what is read is divided by it. "
            "Leave constant coordinates at a scale of 1."
        )
    return Vectors(path, weight, bias, mean, scale, _layer(path, file.metadata), file.sha256, file.metadata)


def _layer(path: Path, metadata: Mapping[str, str]) -> int | None:
    stated = metadata.get("layer")
    if stated is None:
        return None
    if not re.fullmatch("[0-9]{1,4}", stated):
        raise CampaignError(f"{path}: its metadata says layer '{stated}'. Write the block's number, from 0 upwards.")
    return int(stated)


def write_vectors(
    path: Path,
    *,
    weight: Floats,
    bias: Floats | None = None,
    mean: Floats | None = None,
    scale: Floats | None = None,
    metadata: Mapping[str, str] | None = None,
    replace: bool = True,
) -> str:
    """Write a file that `read_vectors` reads, all at once or not at all. Returns its SHA-256.

    Equal arrays and metadata give equal bytes: the header is sorted, which the safetensors library does not promise.
    Raises CampaignError when it cannot be written, or, without `replace`, when another file is there.
    """
    given = {"bias": bias, "mean": mean, "scale": scale, "weight": weight}
    arrays = {name: np.ascontiguousarray(each, np.float32) for name, each in given.items() if each is not None}
    header: dict[str, object] = {"__metadata__": dict(sorted((metadata or {}).items()))}
    at = 0
    for name, each in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(each.shape), "data_offsets": [at, at + each.nbytes]}
        at += each.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    content = (
        len(text).to_bytes(8, "little") + text + b"".join(each.astype("<f4").tobytes() for each in arrays.values())
    )
    if not replace and path.exists() and path.read_bytes() != content:
        raise CampaignError(f"{path} is there already and is another. Remove it, or choose another name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, fresh = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(fresh, path)
        except OSError:
            Path(fresh).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CampaignError(f"{path} cannot be written ({error}). Make room, or choose another place.") from error
    return hashlib.sha256(content).hexdigest()
