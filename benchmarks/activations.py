"""How fast neurons are read: imitable beside bare transformers, TransformerLens, nnsight, delphi and a naive loop.

All conditions of all models run interleaved, in random order, in one process, on equal tokens; their answers are
compared first. Writes `benchmarks/activations.md`. `make benchmark-activations` sets up what it needs.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import platform
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
EQUAL = 1e-4
"""Largest difference allowed between two float32 readings, on the scale of the neuron's largest value (at least 1)."""


@dataclass
class Timed:
    """A contender, and what it took in every round."""

    contender: Any
    tokens: int
    batches: int
    cpu: list[float] = field(default_factory=list)
    """Tokens a second of processor time."""
    wall: list[float] = field(default_factory=list)
    """Tokens a second."""
    far: float | None = None
    """Largest difference from the truth."""
    alike: float | None = None
    """Median over neurons of the correlation with the truth."""


@dataclass
class Part:
    """One table of the report."""

    title: str
    timed: dict[str, Timed]
    absent: list[Any] = field(default_factory=list)
    scanning: str = "float32"


def main() -> None:
    """Measure, print and write the report."""
    asked = _arguments()
    _calm(asked.device)
    import torch
    from subjects import read_texts

    torch.set_num_threads(asked.threads)
    load_before = os.getloadavg()
    texts = read_texts(asked.sentences)
    with tempfile.TemporaryDirectory() as scratch:
        parts = list(_parts(asked, texts, Path(scratch)))
        jobs = [each for part in parts for each in part.timed.values()]
        shuffled = random.Random(0)
        gc.collect()
        for number in range(asked.rounds):
            shuffled.shuffle(jobs)
            for done, job in enumerate(jobs):
                _say(f"round {number + 1} of {asked.rounds}: {done + 1} of {len(jobs)}")
                _time(job, asked.device)
    _say("")
    report = _report(asked, parts, load_before)
    print(report)
    asked.out.write_text(report + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    names = ("stories260K", "MiniLM", "SmolLM2", "GPT-2-shape")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--rounds", type=int, default=5, help="times that every condition runs (default 5)")
    parser.add_argument("--quick", action="store_true", help="one round, few tokens: to see that everything runs")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: tokens a second on a GPU")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default 1)")
    parser.add_argument("--sentences", type=Path, help="JSON Lines with a field text (default: TinyStories)")
    parser.add_argument("--out", type=Path, default=HERE / "activations.md", help="the report")
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds = 1
    return asked


def _calm(device: str) -> None:
    """No hub, no bars, no advice; and no GPU that was not asked for."""
    quiet = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "WANDB_MODE": "disabled", "TOKENIZERS_PARALLELISM": "false"}
    os.environ.update(quiet)
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _parts(asked: argparse.Namespace, texts: list[str], scratch: Path) -> Iterator[Part]:
    """Load every model, agree on the answers, and settle how many batches each is worth."""
    from contenders import Absent, everybody, on_sentences
    from subjects import LENGTH, MODELS, ROWS, Subject, random_gpt2

    for name in asked.models:
        folder = MODELS[name] or random_gpt2(scratch / "gpt2")
        if not folder.exists():
            yield Part(f"{name}: not there; `make models` makes it", {})
            continue
        _say(f"{name}: loading and comparing answers")
        probe = Subject.load(name, folder, text="\n".join(texts), batches=2)
        batches = _worth(probe, seconds=0.3 if asked.quick else 2.0, most=512 if asked.device == "cuda" else 48)
        subject = Subject.load(name, folder, text="\n".join(texts), batches=batches)
        part = Part(f"{name}: {subject.what}", {}, scanning=subject.scanning)
        for each in everybody(subject):
            if isinstance(each, Absent):
                part.absent.append(each)
                continue
            count = min(batches, each.most)
            job = Timed(each, count * ROWS * LENGTH, count)
            try:
                _compare(subject, job)
            except Exception as error:  # a rival that breaks is a line of the table
                part.absent.append(Absent(f"{each.says}, {each.dtype}", f"{type(error).__name__}: {error}"[:160]))
                if each.key.partition(".")[0] in ("ours", "shallow", "moments", "own", "base", "half"):
                    raise
                continue
            part.timed[each.key] = job
        yield part
        if name == "MiniLM":
            tokens, contenders = on_sentences(subject, texts, 64 if asked.quick else 1000)
            jobs = {each.key: Timed(each, tokens, 1) for each in contenders}
            _agree(jobs)
            origin = "the texts given" if asked.sentences else "TinyStories"
            title = f"MiniLM on sentences of {origin}: {tokens:,} tokens, neither padding nor tokenizing counted"
            yield Part(title, jobs, scanning=subject.scanning)


def _worth(subject: Any, *, seconds: float, most: int) -> int:
    """Batches that the bare model does in so many seconds."""
    from contenders import limits

    bare = next(each for each in limits(subject) if each.key == "base.float32")
    bare.read(1)
    began = time.perf_counter()
    bare.read(2)
    _wait(subject.loaded.device)
    return max(1, min(most, round(seconds / (time.perf_counter() - began) * 2)))


def _compare(subject: Any, job: Timed) -> None:
    """Run once, and hold what was read against a plain hook on the bare model."""
    from contenders import truth

    found = job.contender.read(1)
    if job.contender.units is not None:
        _hold(job, found[0], truth(subject, job.contender.units))


def _agree(jobs: dict[str, Timed]) -> None:
    """On sentences: imitable's readings against the naive loop's."""
    naive = jobs["naive"]
    expected = naive.contender.read(1)[0]
    for job in jobs.values():
        found = job.contender.read(1)[0]
        if job.contender.units == naive.contender.units and job is not naive:
            _hold(job, found, expected)


def _hold(job: Timed, found: Any, expected: Any) -> None:
    import numpy as np

    scale = np.maximum(1, np.abs(expected).max(axis=0))
    job.far = float((np.abs(found - expected) / scale).max())
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = found - found.mean(axis=0), expected - expected.mean(axis=0)
        job.alike = float(np.nanmedian((x * y).sum(axis=0) / np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))))
    if job.contender.dtype == "float32" and not job.far <= EQUAL:
        raise ValueError(f"its answers differ by {job.far:.1e} from a plain hook's, more than {EQUAL:.0e}")


def _time(job: Timed, device: str) -> None:
    _wait(device)
    cpu, wall = time.process_time(), time.perf_counter()
    job.contender.read(job.batches)
    _wait(device)
    job.cpu.append(job.tokens / (time.process_time() - cpu))
    job.wall.append(job.tokens / (time.perf_counter() - wall))


def _wait(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def _report(asked: argparse.Namespace, parts: list[Part], load_before: tuple[float, float, float]) -> str:
    from standing import goals, table

    cuda = asked.device == "cuda"
    lines = [
        "# How fast neurons are read",
        "",
        "Made by `make benchmark-activations`; `benchmarks/activations.py` says how. The job is the same for all: 72 "
        "chosen neurons, spread over all layers, at every token of batches of 8 × 128 tokens. Before anything was "
        f"timed, every float32 reading equalled a plain hook's within {EQUAL:g} of a neuron's largest value.",
        "",
        *_machine(asked, load_before),
    ]
    for part in parts:
        lines += ["", f"## {part.title}", ""]
        if part.timed:
            lines += table(part, cuda=cuda)
    lines += ["", "## Goals", "", *goals(parts, cuda=cuda)]
    return "\n".join(lines)


def _machine(asked: argparse.Namespace, before: tuple[float, float, float]) -> list[str]:
    """What the numbers were measured on."""
    import torch

    flags: set[str] = set()
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() == "flags":
                flags = set(value.split())
    except OSError:
        pass
    fast = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    after = os.getloadavg()
    used = []
    for name in ("torch", "transformers", "transformer-lens", "nnsight", "eai-delphi", "imitable"):
        try:
            used.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            used.append(f"{name} not installed")
    said = [
        f"- {time.strftime('%Y-%m-%d')}, {model}, {os.cpu_count()} cores, {', '.join(fast) or 'no wide instructions'}",
        f"- {asked.threads} torch thread{'s' * (asked.threads > 1)}, {asked.rounds} "
        f"round{'s' * (asked.rounds > 1)} in random order, medians; load average {before[0]:.1f} before, "
        f"{after[0]:.1f} after" + (" (the benchmark itself is 1)" if asked.threads == 1 else ""),
        f"- Python {platform.python_version()}, {', '.join(used)}",
    ]
    if asked.device == "cuda":
        said.insert(1, f"- {torch.cuda.get_device_name()}")
    return said


def _say(line: str) -> None:
    """Progress, on one line of a terminal."""
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"\x1b[K{line}" if end == "\r" else line, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
