"""Named float tensors of a safetensors file, as numpy float32. Nothing that could run code is ever opened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.errors import CampaignError, MissingExtra

Floats = npt.NDArray[np.float32]

_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
_PICKLED = (b"\x80", b"PK\x03\x04", b"\x93NUMPY")
"""First bytes of a pickle, of torch's and numpy's archives of pickles, and of a .npy file, which may hold one."""

_STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""Kinds of floats that are read. bfloat16 is the upper half of a float32."""


@dataclass(frozen=True)
class TensorFile:
    """A checked safetensors file. Its tensors are read one at a time: an SAE's may fill gigabytes."""

    path: Path
    shapes: dict[str, tuple[int, ...]]
    """Shape of every tensor, by name."""
    metadata: dict[str, str]
    sha256: str
    """Hash of the whole file."""
    _places: dict[str, tuple[str, int]]
    """Kind of float, and first byte, of every tensor."""

    def read(self, name: str) -> Floats:
        """One tensor in float32. Raises CampaignError when it is no float, or holds NaN or infinities."""
        kind, start = self._places[name]
        if kind not in _STORED:
            raise CampaignError(
                f"{self.path}, tensor '{name}': it holds {kind} and not floats. Save it as float32 again."
            )
        count = int(np.prod(self.shapes[name], dtype=np.int64))
        raw = np.fromfile(self.path, dtype=_STORED[kind], count=count, offset=start)
        if kind == "BF16":
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):
            values: Floats = raw.astype(np.float32).reshape(self.shapes[name])
        if not np.isfinite(values).all():
            raise CampaignError(
                f"{self.path}, tensor '{name}': it holds NaN or infinite values (in float32). Mend what wrote the file."
            )
        return values


def open_tensors(path: Path) -> TensorFile:
    """Check a safetensors file and list what it holds.

    Raises CampaignError for a file that is missing, a pickle (with the way to convert it), or no safetensors file.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtra("models", wanted_for="Reading safetensors files") from error
    try:
        with path.open("rb") as file:
            first, brace = file.read(8), file.read(1)
            pickled = first.startswith(_PICKLED) and brace != b"{"  # a header of 128 bytes begins like a pickle
            if path.suffix.lower() in _PICKLES or pickled:
                raise CampaignError(
                    f"{path} is a pickle or may hold one, which can run code when it is opened. Where you trust it, "
                    "load it yourself and save it with: safetensors.torch.save_file(tensors, 'NAME.safetensors')"
                )
            with safe_open(path, framework="np"):  # it checks that header, shapes and bytes belong together
                pass
            size = int.from_bytes(first, "little")
            header: dict[str, Any] = json.loads(brace + file.read(size - 1))
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (SafetensorError, OSError, ValueError) as error:
        raise CampaignError(
            f"{path} is not a readable safetensors file ({error}). Correct its path, or write it again."
        ) from error
    metadata = header.pop("__metadata__", {})
    return TensorFile(
        path=path,
        shapes={name: tuple(each["shape"]) for name, each in sorted(header.items())},
        metadata=metadata,
        sha256=digest,
        _places={name: (each["dtype"], 8 + size + each["data_offsets"][0]) for name, each in header.items()},
    )
