"""`imitable train-probe`: labelled texts to a linear probe on the residual stream, ready to be a target."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from imitable.activations.anatomy import study
from imitable.activations.models import Loaded, load_model
from imitable.activations.shards import Shard
from imitable.activations.sites import Tap
from imitable.activations.training import LEAST_TEXTS, fit_probe, residuals
from imitable.activations.windows import FOCUS_AFTER, Window, windows
from imitable.campaign import Folder, Model, open_folder
from imitable.commands.labelled import Labelled, read_labelled
from imitable.commands.progress import Progress, silent
from imitable.errors import CampaignError, CorpusError
from imitable.targets import kind_of_site, write_vectors


@dataclass(frozen=True)
class Trained:
    """What `imitable train-probe` did."""

    path: Path
    """The probe's file."""
    table: str
    """The [[targets]] table to paste into campaign.toml."""
    labels: tuple[str, str]
    """The probe is positive for the second."""
    texts: int
    """Texts that were used, held-out ones included."""
    too_short: int
    """Texts that were not: they have too few tokens, or begin as another does."""
    tokens: int
    held_out: int
    """Held-out texts."""
    auroc: float
    """Of tokens of held-out texts: 0.5 is chance, 1 is perfect."""
    auroc_texts: float
    """Of held-out texts, each by the mean of its tokens."""


def train_probe(
    directory: Path,
    *,
    labelled: Path,
    layer: int,
    name: str,
    text_column: str = "text",
    label_column: str = "label",
    model: str | None = None,
    out: Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Trained:
    """Train a probe on the output of block `layer` of the campaign's model, and write DIR/probes/NAME.safetensors.

    `model` names one of several [[models]]. Equal texts, model and seed give equal bytes; a file that is there with
    other bytes is never replaced. Raises ImitableError subclasses for anything the runner can mend.
    """
    if layer < 0:
        raise CampaignError(f"There is no layer {layer}. Name a block, from 0 upwards.")
    kind_of_site(f"probe.{layer}.{name}")
    folder = open_folder(directory)
    spec = _chosen(folder, model)
    data = read_labelled(labelled, text_column=text_column, label_column=label_column)
    _enough(labelled, label_column, data, data.positive, "")
    with progress("Loading the model", 1) as advance:
        loaded = load_model(spec, base=folder.path)
        advance(1)
    block = study(loaded).block(layer)
    if block.residual_refused:
        raise CampaignError(f"{loaded.model_id}, {block.path}: {block.residual_refused}")
    cut = _first_windows(loaded, folder, data.texts)
    positive = np.array([data.positive[window.document] for window in cut], dtype=bool)
    _enough(labelled, label_column, data, positive.tolist(), f" with more than {FOCUS_AFTER} tokens")
    shard = Shard.of(cut)
    with progress("Reading the residual stream", len(shard.tokens)) as advance:
        rng = np.random.default_rng(seed)
        rows, text_of = residuals(loaded, shard, Tap(block.path, "output"), rng=rng, tick=advance)
    with progress("Fitting", 1) as advance:
        fitted = fit_probe(rows, text_of, positive, seed=seed)
        advance(1)
    path = out or directory / "probes" / f"{name}.safetensors"
    metadata = {
        "layer": str(layer),
        "model_id": loaded.model_id,
        "model_sha256": loaded.sha256,
        "trained_on": labelled.name,
        "trained_on_sha256": data.sha256,
        "n_texts": str(len(cut)),
        "n_texts_held_out": str(fitted.held_out),
        "n_tokens": str(len(rows)),
        "labels": json.dumps(data.labels, ensure_ascii=False),
        "label": data.labels[1],
        "auroc_held_out": f"{fitted.auroc:.4f}",
        "auroc_held_out_texts": f"{fitted.auroc_texts:.4f}",
        "C": str(fitted.strength),
        "seed": str(seed),
        "max_tokens": str(folder.config.corpus.max_tokens),
        **{each: version(each) for each in ("imitable", "numpy", "scikit-learn", "torch", "transformers")},
    }
    write_vectors(
        path,
        weight=fitted.weight,
        bias=fitted.bias,
        mean=fitted.mean,
        scale=fitted.scale,
        metadata=metadata,
        replace=False,
    )
    return Trained(
        path=path,
        table=f'[[targets]]\nkind = "probe"\nfile = {json.dumps(_from(directory, path), ensure_ascii=False)}\n',
        labels=data.labels,
        texts=len(cut),
        too_short=len(data.texts) - len(cut),
        tokens=len(rows),
        held_out=fitted.held_out,
        auroc=fitted.auroc,
        auroc_texts=fitted.auroc_texts,
    )


def _chosen(folder: Folder, named: str | None) -> Model:
    models = {model.model_id: model for model in folder.config.all_models}
    if named is None and len(models) == 1:
        return next(iter(models.values()))
    if named is None or named not in models:
        problem = "has several models" if named is None else f"has no model '{named}'"
        raise CampaignError(f"{folder.path}/campaign.toml {problem}. Name one with --model: {', '.join(models)}.")
    return models[named]


def _enough(path: Path, column: str, data: Labelled, positive: list[bool] | tuple[bool, ...], what: str) -> None:
    """Raise CorpusError unless there are enough texts of both labels."""
    for label, count in zip(data.labels, (len(positive) - sum(positive), sum(positive)), strict=True):
        if count < LEAST_TEXTS:
            raise CorpusError(
                f"{path}, column '{column}': {count} texts{what} have the label '{label}', and a probe needs "
                f"{LEAST_TEXTS} of each. Add texts."
            )


def _first_windows(loaded: Loaded, folder: Folder, texts: tuple[str, ...]) -> list[Window]:
    """The beginning of every text, cut to the campaign's max_tokens; texts without a token to ask about are left out,
    and those that begin as another does.

    A window's `document` is its text's number.
    """
    longest = folder.config.corpus.max_tokens
    if loaded.longest and longest > loaded.longest:
        raise CampaignError(
            f"[corpus] max_tokens is {longest}, and {loaded.model_id} takes at most {loaded.longest}. Make it smaller."
        )
    first: dict[int, Window] = {}
    begun: dict[str, int] = {}
    for window in windows(
        loaded, texts, documents=range(len(texts)), shortest=min(FOCUS_AFTER + 1, longest), longest=longest
    ):
        if begun.setdefault(window.text, window.document) == window.document:
            first.setdefault(window.document, window)
    return [first[document] for document in sorted(first)]


def _from(directory: Path, path: Path) -> str:
    """The path as campaign.toml writes it: from the campaign's folder, where it lies inside."""
    absolute, base = path.resolve(), directory.resolve()
    return (absolute.relative_to(base) if absolute.is_relative_to(base) else absolute).as_posix()
