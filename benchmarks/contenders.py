"""Who takes part in the activation benchmark: bare transformers, imitable, other libraries, and a naive loop.

Everybody has the same job, "72 chosen neurons over all layers", and hands back what it read, so that answers can be
compared before anything is timed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from subjects import LENGTH, ROWS, Subject, Units, sentence_tokens, sentences_shard

from imitable.activations.running import Work

Read = Callable[[int], list[Any] | None]
"""Does the job on the first so many batches: (tokens, units) columns of every batch, if it was to read neurons."""

EVERYTHING = 10**9


@dataclass
class Contender:
    """One way to do the job, and what it is measured against."""

    key: str
    """For the goals: what it does and its dtype."""
    says: str
    """For the table."""
    dtype: str
    read: Read
    limit: str = ""
    """Key of the bare forward pass of the same dtype and depth."""
    units: Units | None = None
    """The neurons whose columns it gives; None when it gives none."""
    most: int = EVERYTHING
    """Batches it can take at once."""


@dataclass(frozen=True)
class Absent:
    """A library that cannot take part."""

    says: str
    why: str


def ours(subject: Subject, shards: Sequence[Any], units: Units | None, dtype: str) -> list[dict[str, Any]]:
    """The door to imitable: columns of units by site, or moments of every unit, for each shard."""
    sites = tuple(site for site in subject.sites if units is None or site.name in units)
    work = Work(sites, units, dtype)
    return [work(subject.loaded, shard) for shard in shards]


def limits(subject: Subject) -> Iterator[Contender]:
    """transformers alone, with nothing read: how fast reading could be at best."""
    half = len(subject.sites) // 2
    whole = subject.whole()
    yield Contender("head.float32", "transformers, with the head's logits", "float32", _forward(subject, whole))
    for dtype in ("float32", "bfloat16"):
        model = subject.loaded.in_dtype(dtype)
        yield Contender(f"base.{dtype}", "**transformers, base model: the limit**", dtype, _forward(subject, model))
        run = _forward(subject, model)

        def shorter(batches: int, model: Any = model, run: Read = run) -> None:
            with _first_blocks(subject, model, half):
                run(batches)

        yield Contender(f"half.{dtype}", f"transformers, its first {half} layers alone: the limit", dtype, shorter)


def imitable(subject: Subject) -> Iterator[Contender]:
    """What imitable does."""
    half = len(subject.sites) // 2
    for dtype in ("float32", "bfloat16"):
        for key, says, units, limit in (
            ("ours", "imitable, 72 neurons", subject.units(), "base"),
            ("moments", "imitable, moments of all neurons", None, "base"),
            ("shallow", f"imitable, 72 neurons of the first {half} layers", subject.units(layers=half), "half"),
        ):

            def read(batches: int, units: Units | None = units, dtype: str = dtype) -> list[Any] | None:
                found = ours(subject, subject.shards[:batches], units, dtype)
                return None if units is None else [_side_by_side(each, units) for each in found]

            yield Contender(f"{key}.{dtype}", says, dtype, read, f"{limit}.{dtype}", units)
    units = subject.units()

    def own_batches(batches: int) -> list[Any] | None:
        if batches < len(subject.shards):
            return None
        found = ours(subject, [subject.one_shard], units, subject.scanning)
        return [_side_by_side(each, units) for each in found]

    if len(subject.shards) >= 4:
        says = "imitable, 72 neurons, batches as it cuts them"
        yield Contender(f"own.{subject.scanning}", says, subject.scanning, own_batches, f"base.{subject.scanning}")


def transformer_lens(subject: Subject) -> Iterator[Contender]:
    """TransformerLens: its cache of the MLPs' hidden layers, and of everything."""
    from transformer_lens.model_bridge import TransformerBridge

    units = subject.units()
    names = [f"blocks.{site.layer}.mlp.hook_post" for site in subject.sites]
    title = f"TransformerLens {version('transformer-lens')}, run_with_cache"
    for dtype in ("float32", "bfloat16"):
        bridge = TransformerBridge.boot_transformers(
            str(subject.folder),
            hf_model=subject.whole(dtype),
            tokenizer=subject.loaded.tokenizer,
            dtype=getattr(torch, dtype),
            device=subject.loaded.device,
        )

        def read(batches: int, *, only: list[str] | None, bridge: Any = bridge) -> list[Any]:
            found = []
            for tokens in subject.tokens[:batches]:
                with torch.inference_mode():
                    _, cache = bridge.run_with_cache(tokens, names_filter=only)
                found.append(_beside([cache[name] for name in names], units))
            return found

        yield Contender(
            f"lens.{dtype}", f"{title}, the MLP posts", dtype, lambda n, read=read: read(n, only=names), "", units
        )
        if dtype == "float32":
            says = f"{title}, everything"
            yield Contender(f"lens-all.{dtype}", says, dtype, lambda n, read=read: read(n, only=None), "", units)


def nnsight(subject: Subject) -> Iterator[Contender]:
    """nnsight: as its readers use it, on the model with its head; and made as fast as it goes."""
    import nnsight as library

    units = subject.units()
    chosen = [list(units[site.name]) for site in subject.sites]
    title = f"nnsight {version('nnsight')}"

    def wrap(model: Any) -> Any:
        return library.NNsight(model)

    def read(batches: int, *, model: Any, prefix: str, whole: bool = False, stop: bool = False) -> list[Any]:
        # to nnsight, a module called `output` is `E_output`
        paths = [(prefix + site.tap.module).replace(".output.", ".E_output.") for site in subject.sites]
        places = [model.get(path) for path in paths]
        found = []
        for tokens in subject.tokens[:batches]:
            with torch.inference_mode(), model.trace(input_ids=tokens) as tracer:
                saved = [].save()
                for place, columns in zip(places, chosen, strict=True):
                    saved.append(place.input if whole else place.input[..., columns])
                if stop:
                    tracer.stop()
            found.append(_beside(saved, units) if whole else _flat(saved))
        return found

    for dtype in ("float32", "bfloat16"):
        model = subject.whole(dtype)
        prefix = f"{model.base_model_prefix}."
        wrapped = wrap(model)
        cases = {"sight": ("72 neurons", {}), "sight-all": ("the MLPs' inputs", {"whole": True})}
        if dtype == "float32":
            cases["sight-stop"] = ("72 neurons, told to stop after the last", {"stop": True})
        for key, (says, options) in cases.items():
            if dtype == "bfloat16" and key != "sight":
                continue

            def job(n: int, wrapped: Any = wrapped, prefix: str = prefix, options: Any = options) -> list[Any]:
                return read(n, model=wrapped, prefix=prefix, **options)

            yield Contender(f"{key}.{dtype}", f"{title}, {says}", dtype, job, "", units)
    bare = wrap(subject.whole().base_model)

    def base_job(n: int) -> list[Any]:
        return read(n, model=bare, prefix="")

    yield Contender("sight-base.float32", f"{title}, 72 neurons, given the base model", "float32", base_job, "", units)


def delphi(subject: Subject) -> Iterator[Contender]:
    """delphi's cache of latents, given one dense layer of neurons. Its memory grows by 28 bytes an activation."""
    from delphi.latents.cache import LatentCache

    site = subject.sites[-1]
    units = {site.name: subject.units()[site.name]}

    def read(batches: int) -> list[Any]:
        tokens = subject.tokens[:batches].reshape(-1, LENGTH)
        hookpoints = {site.tap.module: lambda latents: latents}
        cache = LatentCache(subject.loaded.model, hookpoints, batch_size=ROWS, transcode=True)
        cache.run(tokens.numel(), tokens)
        if batches > 1:
            return []
        dense = torch.zeros(*tokens.shape, site.width)
        found = cache.cache
        dense[tuple(found.latent_locations[site.tap.module].T)] = found.latent_activations[site.tap.module]
        return [_beside([dense], units)]

    says = f"delphi {version('eai-delphi')}, LatentCache of ONE layer, all its neurons"
    yield Contender("delphi.float32", says, "float32", read, "", units, most=8)


RIVALS: dict[str, Callable[[Subject], Iterator[Contender]]] = {
    "TransformerLens": transformer_lens,
    "nnsight": nnsight,
    "delphi": delphi,
}


def everybody(subject: Subject) -> Iterator[Contender | Absent]:
    """All contenders for one model; a library that cannot take part is told of, with its reason."""
    yield from limits(subject)
    yield from imitable(subject)
    for name, rival in RIVALS.items():
        try:
            yield from rival(subject)
        except Exception as error:  # whatever keeps a library from running is what the table must say
            yield Absent(
                name, f"{type(error).__name__}: {str(error).strip().splitlines()[0][:120] if str(error) else ''}"
            )


def on_sentences(subject: Subject, texts: list[str], count: int) -> tuple[int, list[Contender]]:
    """The naive loop and imitable on sentences of all lengths: (tokens in them, contenders). Tokens are ready-made."""
    sentences = sentence_tokens(subject.loaded, texts, count)
    shard = sentences_shard(sentences)
    every, half = subject.units(), len(subject.sites) // 2
    ends = np.cumsum([len(each) for each in sentences])

    def naive(_batches: int) -> list[Any]:
        """Random batches of 32, padded to the longest, the whole model, float32, a hook on every MLP."""
        model, pad = subject.loaded.model, subject.loaded.tokenizer.pad
        caught: dict[str, Any] = {}
        handles = [
            model.get_submodule(site.tap.module).register_forward_pre_hook(
                lambda _module, arguments, name=site.name: caught.update({name: arguments[0]})
            )
            for site in subject.sites
        ]
        read = np.empty((ends[-1], sum(len(each) for each in every.values())), np.float32)
        order = np.random.default_rng(3).permutation(len(sentences))
        for start in range(0, len(order), 32):
            batch = order[start : start + 32]
            given = pad({"input_ids": [sentences[at] for at in batch]}, return_tensors="pt").to(subject.loaded.device)
            with torch.inference_mode():
                model(**given)
            values = torch.cat([caught[name][..., list(units)] for name, units in every.items()], dim=-1).cpu().numpy()
            for row, at in enumerate(batch):
                read[ends[at] - len(sentences[at]) : ends[at]] = values[row, : len(sentences[at])]
        for handle in handles:
            handle.remove()
        return [read]

    def job(units: Units, dtype: str) -> Read:
        return lambda _batches: [_side_by_side(found, units) for found in ours(subject, [shard], units, dtype)]

    upper = subject.units(layers=half)
    fast = subject.scanning
    made = [
        Contender("naive", "naive loop: random batches of 32, padded, whole model", "float32", naive, "", every),
        Contender("ours.float32", "imitable", "float32", job(every, "float32"), "", every),
        Contender("shallow.float32", f"imitable, first {half} layers", "float32", job(upper, "float32"), "", upper),
    ]
    if fast != "float32":
        made += [
            Contender(f"ours.{fast}", "imitable", fast, job(every, fast), "", every),
            Contender(f"shallow.{fast}", f"imitable, first {half} layers", fast, job(upper, fast), "", upper),
        ]
    return int(ends[-1]), made


def truth(subject: Subject, units: Units) -> Any:
    """The neurons of the first batch by a plain hook on the bare model: what everybody's answers are held against."""
    caught: dict[str, Any] = {}
    handles = [
        subject.loaded.model.get_submodule(site.tap.module).register_forward_pre_hook(
            lambda _module, arguments, name=site.name: caught.update({name: arguments[0].clone()})
        )
        for site in subject.sites
        if site.name in units
    ]
    with torch.inference_mode():
        subject.loaded.model(input_ids=subject.tokens[0])
    for handle in handles:
        handle.remove()
    return _beside([caught[name] for name in units], units)


def _forward(subject: Subject, model: Any) -> Read:
    def run(batches: int) -> None:
        for tokens in subject.tokens[:batches]:
            with torch.inference_mode():
                model(input_ids=tokens)

    return run


@contextmanager
def _first_blocks(subject: Subject, model: Any, count: int) -> Iterator[None]:
    """Leave the model its first blocks for a while."""
    found = re.match(r"(.*?)\.?(\w+)\.0\.", subject.sites[0].tap.module)
    assert found is not None
    parent, name = model.get_submodule(found[1]), found[2]
    blocks = getattr(parent, name)
    setattr(parent, name, blocks[:count])
    try:
        yield
    finally:
        setattr(parent, name, blocks)


def _beside(layers: Sequence[Any], units: Units) -> Any:
    """(rows, tokens, neurons) of every layer -> the chosen columns of all, (tokens, units)."""
    return _flat([layer[..., list(chosen)] for layer, chosen in zip(layers, units.values(), strict=True)])


def _flat(chosen: Sequence[Any]) -> Any:
    return torch.cat([each.reshape(-1, each.shape[-1]) for each in chosen], dim=1).float().cpu().numpy()


def _side_by_side(columns: dict[str, Any], units: Units) -> Any:
    return np.concatenate([columns[name] for name in units], axis=1)
