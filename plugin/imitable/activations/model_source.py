"""Where a model lies, in a local folder or on the Hugging Face hub, and whether its descriptions are whole."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

from imitable.campaign import Model
from imitable.errors import ModelError

_PATIENCE = 10.0
"""Seconds to wait for the hub's first word."""


def locate(spec: Model, *, base: Path) -> str:
    """Where a model is loaded from: a local folder, or a hub name. Raises ModelError as `load_model` does."""
    if spec.path.startswith("builtin:"):
        name = spec.path.removeprefix("builtin:")
        folder = Path(str(files("imitable.builtin"))) / name
        if not folder.is_dir():
            raise ModelError(f"There is no built-in model '{name}'. The built-in one is builtin:stories260K.")
        return str(folder)
    folder = base / Path(spec.path).expanduser()
    if not folder.exists():
        if spec.path.startswith((".", "/", "~")):
            raise ModelError(f"There is no model folder {folder}. Correct [model] path.")
        return spec.path
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json. Give [model] path a folder that transformers can load.")
    if not list(folder.glob("*.safetensors")):
        pickled = list(folder.glob("*.bin")) + list(folder.glob("*.pt"))
        remedy = (
            f"{pickled[0].name} is a pickle, which can run code; convert it with model.save_pretrained(folder)"
            if pickled
            else "Add model.safetensors"
        )
        raise ModelError(f"{folder} has no safetensors weights. {remedy}.")
    return str(folder)


def check_descriptions(folder: Path) -> None:
    """Raises ModelError for a file that is there and holds no JSON object: the libraries' words for it help nobody."""
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        path = folder / name
        try:
            whole = not path.exists() or isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
        except (OSError, ValueError):
            whole = False
        if not whole:
            raise ModelError(
                f"{path} is empty or damaged: it holds no JSON object. Copy it from the model's source again."
            )


def check_tokenizer(folder: Path) -> None:
    """Raises ModelError for a tokenizer.json that is there and that the tokenizers library cannot read."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        if path.is_file():
            Tokenizer.from_file(str(path))
    except Exception as error:  # it raises bare ones
        raise ModelError(
            f"{path} is damaged: it holds no tokenizer ({error}). Copy it from the model's source again."
        ) from error


def must_be_cached(name: str, revision: str | None) -> bool:
    """Whether the hub cannot be reached, so that a model must be in the cache.

    Raises ModelError, within seconds, where it is in neither: the library itself would go on trying for a minute.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        HfApi().model_info(name, revision=revision, timeout=_PATIENCE)
    except Exception as error:  # of whichever HTTP library it uses
        kinds = {kind.__name__ for kind in type(error).__mro__}
        status = getattr(getattr(error, "response", None), "status_code", 0)
        if not kinds & {"TransportError", "ConnectionError", "Timeout", "OfflineModeIsEnabled"} and status < 500:
            return False  # it answered: what is wrong with the name is told when it is loaded
        if isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
            return True
        why = str(error).split("\n")[0]
        raise ModelError(
            f"There is no folder {name}, and the Hugging Face hub does not answer ({why}), where it would be looked "
            "for next. Give [model] path a local folder, or check the name and the network."
        ) from error
    return False


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of everything in a model's folder that its activations depend on; empty for a hub name."""
    found = {}
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        known = path.suffix in (".json", ".safetensors", ".model") or path.name in ("vocab.txt", "merges.txt")
        if known and path.name != "generation_config.json" and path.is_file():
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
