"""Loading a transformer and its tokenizer: what ships with imitable, a local folder, or a Hugging Face hub name."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from imitable.activations.model_source import (
    check_descriptions,
    check_tokenizer,
    file_hashes,
    locate,
    must_be_cached,
)
from imitable.campaign import Model
from imitable.errors import MissingExtra, ModelError

_NOT_THE_MODEL = ("transformers_version", "_name_or_path", "dtype", "architectures")
"""Keys of a configuration that say where it came from, and nothing about the activations."""

ScanDtype = Literal["auto", "float32", "bfloat16"]

_WORTH_BFLOAT16 = 10_000_000
"""Parameters from which on bfloat16 is worth its rounding: a tiny model's time is not spent multiplying."""

_NO_LIMIT = 10**9
"""A tokenizer that knows no longest input says so with a huge number."""


@dataclass(frozen=True)
class Loaded:
    """A model ready to be run, and what must be stored beside its truths."""

    model_id: str
    model: Any
    """The base transformer, without a language-modelling head, in evaluation mode, float32."""
    tokenizer: Any
    """A fast tokenizer: only these know where in the text a token lies."""
    sha256: str
    """Hash of the weights, the configuration and the tokenizer."""
    longest: int | None
    """Most tokens that the model has positions for; None when it does not say."""
    versions: dict[str, str]
    """Versions of the libraries, dtype, device and attention implementation that the truths depend on."""
    files: dict[str, str]
    """SHA-256 of the files it was loaded from, by name; empty for a hub model, which its revision names."""
    device: str = "cpu"
    _copies: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def in_dtype(self, dtype: str) -> Any:
        """The model in `float32` or `bfloat16`. The copy is made once; truths always come from the float32 one."""
        import torch

        if dtype == "float32":
            return self.model
        if dtype not in self._copies:
            self._copies[dtype] = copy.deepcopy(self.model).to(getattr(torch, dtype))
        return self._copies[dtype]


def load_model(spec: Model, *, base: Path) -> Loaded:
    """Load a model as stated in campaign.toml. Relative folders start at `base`.

    Raises ModelError for a folder without (all) weights or tokenizer, pickled weights, or a hub that does not answer,
    and MissingExtra when torch or transformers is not installed.
    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra("models", wanted_for="Building a campaign") from error
    where = locate(spec, base=base)
    check_descriptions(Path(where))
    offline = not Path(where).is_dir() and must_be_cached(where, spec.revision)
    with _quiet(transformers):
        try:
            here = {"revision": spec.revision, "local_files_only": offline}
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, use_fast=True, **here)
            kind = type(transformers.AutoConfig.from_pretrained(where, trust_remote_code=False, **here))
            # T5 and kin are read in their encoder, which transformers has as a model of its own
            encoders = transformers.MODEL_FOR_TEXT_ENCODING_MAPPING
            alone = getattr(kind, "is_encoder_decoder", False) and kind in encoders
            auto = transformers.AutoModelForTextEncoding if alone else transformers.AutoModel
            model, found = auto.from_pretrained(
                where,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **here,
            )
        except Exception as error:  # transformers raises seven kinds, tokenizers bare ones
            check_tokenizer(Path(where))
            first = (str(error).strip() or type(error).__name__).split("\n")[0].rstrip(".")
            if "ignore_mismatched_sizes" in first:
                first = "its weights do not have the shapes that its config.json states"
            elif "backend tokenizer" in first:
                first = "it has no tokenizer.json, nor anything that a tokenizer could be made of"
            raise ModelError(
                f"The model {where} cannot be loaded: {first}. Give [model] path a folder with config.json, "
                "safetensors weights and a tokenizer, or a hub name that this machine can reach."
            ) from error
    if not tokenizer.is_fast:
        raise ModelError(
            f"The model {where} has only a slow tokenizer, which cannot say where in a text a token lies. "
            "Add a tokenizer.json to its folder (transformers' convert_slow_tokenizer makes one)."
        )
    missing = frozenset(found["missing_keys"])
    needed = sorted(name for name in missing if not name.startswith("pooler."))
    if needed:
        raise ModelError(
            f"The weights in {where} lack {len(needed)} that its config.json asks for, {needed[0]} among them: they "
            "would be random numbers. Give [model] path a folder where configuration and weights belong together."
        )
    if surplus := _beyond(found["unexpected_keys"], model):
        raise ModelError(
            f"The weights in {where} hold {len(surplus)} of blocks that its config.json does not have, {surplus[0]} "
            "among them: the model would end too early. Put the number of layers in config.json right."
        )
    model.eval()
    model.config.use_cache = False  # every text is run once
    embeddings = getattr(model.get_input_embeddings(), "weight", None)
    if embeddings is None or embeddings.dim() != 2:
        raise ModelError(f"The model {where} has no embedding of tokens: it does not read text. Choose one that does.")
    largest = embeddings.shape[0]
    if len(tokenizer) > largest:
        raise ModelError(
            f"The tokenizer in {where} has {len(tokenizer)} tokens and the model only {largest}: they do not belong "
            "together. Put the model's own tokenizer into its folder."
        )
    sha256 = _hash(model, tokenizer, without=missing)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Loaded(
        model_id=spec.model_id,
        model=model.to(device),
        tokenizer=tokenizer,
        sha256=sha256,
        longest=_longest(model, tokenizer),
        versions={
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "dtype": "float32",
            "device": torch.cuda.get_device_name() if device == "cuda" else device,
            "attention": str(getattr(model.config, "_attn_implementation", "unknown")),
        },
        files=file_hashes(Path(where)),
        device=device,
    )


def scan_dtype(loaded: Loaded, asked: ScanDtype = "auto") -> Literal["float32", "bfloat16"]:
    """The dtype to scan a corpus in. Truths are always computed in float32.

    `auto` is bfloat16 where the machine multiplies it faster and the model is large enough to gain: on the models
    measured, a neuron's scanned and true activations correlate above 0.998.
    """
    import torch

    if asked != "auto":
        return asked
    if loaded.device == "cuda":
        fast = torch.cuda.is_bf16_supported()
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if fast and loaded.model.num_parameters() >= _WORTH_BFLOAT16 else "float32"


def _beyond(unexpected: Collection[str], model: Any) -> list[str]:
    """Weights of numbered blocks that the model does not have, although it has the blocks before them."""
    own = {".".join(name.split(".")[: at + 1]) for name in model.state_dict() for at in range(len(name.split(".")))}
    prefix = f"{getattr(model, 'base_model_prefix', '')}."
    surplus = []
    for name in unexpected:
        parts = name.removeprefix(prefix).split(".")
        for at, part in enumerate(parts):
            rest = tuple(parts[at + 1 :])
            earlier = ".".join([*parts[:at], "0", *rest])
            if part.isdigit() and ".".join(parts[: at + 1]) not in own and earlier in own:
                surplus.append(name)
                break
    return sorted(surplus)


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep the library's own bars and advice off the runner's terminal while it loads."""
    loggers = [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels, bars = [logger.level for logger in loggers], transformers.utils.logging.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            transformers.utils.logging.enable_progress_bar()


def _longest(model: Any, tokenizer: Any) -> int | None:
    stated = (getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length)
    return min((int(limit) for limit in stated if limit and 0 < limit < _NO_LIMIT), default=None)


def _hash(model: Any, tokenizer: Any, *, without: Collection[str]) -> str:
    """`without`: parts that the file lacks and that take no part in the activations; they were drawn at random."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if name not in without:
            digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor.contiguous().cpu().numpy().tobytes())
    config = {key: value for key, value in model.config.to_dict().items() if key not in _NOT_THE_MODEL}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    return digest.hexdigest()
