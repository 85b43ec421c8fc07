"""`imitable build`: corpus and model to targets, pools and sealed truths."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from imitable.activations import (
    Loaded,
    Moments,
    Scan,
    Site,
    Text,
    Window,
    columns,
    load_model,
    mlp_sites,
    moments,
    read_corpus,
    windows,
)
from imitable.campaign import Folder, Model, Targets, open_folder
from imitable.commands.progress import Progress, silent
from imitable.errors import BuildError, CampaignError, CorpusError
from imitable.rounds import MadeTarget, Split, TooFlat, assign_splits, make_target, without_shared_runs
from imitable.selection import Candidate, ranked
from imitable.store import load_build, open_store, read_build, read_report, write_build
from imitable.targets import TargetId

BUILD_VERSION = 1
"""Raised when the same configuration would build something else."""


@dataclass(frozen=True)
class LeftOut:
    """A unit that could not become a target."""

    target_id: str
    reason: str


@dataclass(frozen=True)
class Built:
    """What `imitable build` did."""

    folder: Path
    targets: int
    items: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    fresh: bool
    """False when the build was there already and nothing had to be done."""


@dataclass(frozen=True)
class _Prepared:
    """One model with its windows, ready for units to be read."""

    loaded: Loaded
    sites: Sequence[Site]
    windows: Sequence[Window]
    splits: Sequence[Split]


def build(directory: Path, *, progress: Progress = silent) -> Built:
    """Build a campaign. Repeating it is safe: a finished build is only loaded into the store, if it must be.

    Raises ImitableError subclasses for anything the runner can mend; nothing half-written is left behind.
    """
    folder = open_folder(directory)
    store = open_store(folder)
    try:
        wanted = _build_hash(folder)
        report = read_report(folder.build)
        fresh = report is None or report["build_hash"] != wanted
        if store.played() and (fresh or store.build_hash() != wanted):
            raise BuildError(
                f"{directory} has been played, and campaign.toml no longer describes what was built. Put the old "
                "settings back, or make a new campaign with: imitable new"
            )
        if fresh or report is None:
            made, report = _make(folder, wanted, progress)
            write_build(folder.build, made, report)
        if store.build_hash() != wanted:
            load_build(store, name=folder.config.campaign.name, build_hash=wanted, records=read_build(folder.build))
    finally:
        store.close()
    return Built(
        folder=folder.build,
        targets=report["targets"],
        items=report["items"],
        left_out=tuple(LeftOut(**one) for one in report["left_out"]),
        notes=tuple(report["notes"]),
        fresh=fresh,
    )


def _build_hash(folder: Folder) -> str:
    """Hash of everything that the build depends on: the tables that describe it, the key, our own version."""
    config = folder.config
    described = {
        "version": BUILD_VERSION,
        "seed": config.campaign.seed,
        "models": [model.model_dump() for model in config.all_models],
        "corpus": config.corpus.model_dump(),
        "targets": [table.model_dump() for table in config.targets],
        "rounds": [config.episode.practice, config.episode.held_out, config.episode.pool.model_dump()],
        "key": folder.derive("build"),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _make(folder: Folder, build_hash: str, progress: Progress) -> tuple[list[MadeTarget], dict[str, Any]]:
    config = folder.config
    texts = read_corpus(config.corpus, base=folder.path)
    pool = config.episode.pool
    documents = -(-len(texts) // config.corpus.block)
    splits = assign_splits(documents, practice=pool.practice, held_out=pool.held_out, rng=_generator(folder, "splits"))
    made: list[MadeTarget] = []
    left_out: list[LeftOut] = []
    notes: list[str] = []
    described = []
    for model in config.all_models:
        prepared, dropped = _prepare(folder, model, texts, splits)
        if dropped:
            notes.append(
                f"{prepared.loaded.model_id}: {dropped} of {dropped + len(prepared.windows)} texts share a run of 12 "
                "tokens with another split and were dropped"
            )
        described.append(
            {
                "model_id": prepared.loaded.model_id,
                "sha256": prepared.loaded.sha256,
                "texts": len(prepared.windows),
                **prepared.loaded.versions,
            }
        )
        for number, table in enumerate(config.targets):
            found, without = _targets_of(folder, prepared, table, number, progress)
            made = _joined(made, found)
            left_out += without
            asked = table.select.count if table.select else len(table.units or ()) * len(table.sites)
            if len(found) < asked:
                notes.append(f"{prepared.loaded.model_id}, [[targets]] #{number + 1}: {len(found)} of {asked} targets")
    if not made:
        reasons = "; ".join(f"{one.target_id} {one.reason}" for one in left_out[:5])
        raise BuildError(
            f"No unit is left to play: {reasons}. Choose other sites, a larger corpus, or smaller pools in [episode]."
        )
    _note_small_pools(made, folder, notes)
    report = {
        "build_hash": build_hash,
        "campaign": config.campaign.name,
        "seed": config.campaign.seed,
        "models": described,
        "documents": {split: splits.count(split) for split in sorted(set(splits))},
        "targets": len(made),
        "items": sum(len(one.items) for one in made),
        "left_out": [asdict(one) for one in left_out],
        "notes": notes,
    }
    return made, report


def _prepare(folder: Folder, model: Model, texts: Sequence[Text], splits: Sequence[Split]) -> tuple[_Prepared, int]:
    corpus = folder.config.corpus
    loaded = load_model(model, base=folder.path)
    cut = windows(
        loaded,
        [text.text for text in texts],
        block=corpus.block,
        shortest=corpus.shortest,
        longest=corpus.max_tokens,
    )
    if not cut:
        raise CorpusError(
            f"No text of {corpus.path} is {corpus.shortest} tokens long for {loaded.model_id}. Use longer texts, or a "
            "smaller min_tokens in [corpus]."
        )
    kept, dropped = without_shared_runs(cut, splits, special=frozenset(loaded.tokenizer.all_special_ids))
    return _Prepared(loaded, mlp_sites(loaded), kept, splits), dropped


def _targets_of(
    folder: Folder, prepared: _Prepared, table: Targets, number: int, progress: Progress
) -> tuple[list[MadeTarget], list[LeftOut]]:
    """The targets that one [[targets]] table asks for, of one model; candidates are tried until there are enough."""
    sites = _sites(prepared, table)
    scan = Scan(prepared.loaded, prepared.windows, sites)
    wanted, candidates = _candidates(folder, scan, table, number, progress)
    made: list[MadeTarget] = []
    left_out: list[LeftOut] = []
    while candidates and len(made) < wanted:
        missing = wanted - len(made)
        batch, candidates = candidates[: missing + missing // 4], candidates[missing + missing // 4 :]
        units: dict[str, list[int]] = {}
        for one in batch:
            units.setdefault(one.site, []).append(one.unit)
        read_sites = [site for site in sites if site.name in units]
        with progress("Reading activations", scan.tokens) as advance:
            read = columns(Scan(scan.loaded, scan.windows, read_sites), units, tick=advance)
        for one in batch:
            if len(made) == wanted:
                break
            raw = [values[:, units[one.site].index(one.unit)] for values in read[one.site]]
            identity = TargetId(prepared.loaded.model_id, one.site, one.unit)
            try:
                made.append(_target(folder, prepared, table=table, one=one, identity=identity, raw=raw))
            except TooFlat as reason:
                left_out.append(LeftOut(str(identity), str(reason)))
    return made, left_out


def _joined(made: list[MadeTarget], found: list[MadeTarget]) -> list[MadeTarget]:
    """All targets; one that several tables chose stands once, with all its methods in `selected_by`."""
    by_id = {one.target.target_id: one for one in made}
    for one in found:
        known = by_id.setdefault(one.target.target_id, one)
        if known is not one:
            methods = dict.fromkeys([*known.target.selected_by.split(";"), one.target.selected_by])
            by_id[one.target.target_id] = replace(known, target=replace(known.target, selected_by=";".join(methods)))
    return list(by_id.values())


def _sites(prepared: _Prepared, table: Targets) -> list[Site]:
    known = {site.name: site for site in prepared.sites}
    for name in table.sites:
        if name not in known:
            raise CampaignError(
                f"{prepared.loaded.model_id} has no site '{name}'. It has {', '.join(known)}: name some of these in "
                "[[targets]] sites."
            )
    return [known[name] for name in dict.fromkeys(table.sites)]


def _candidates(
    folder: Folder, scan: Scan, table: Targets, number: int, progress: Progress
) -> tuple[int, list[Candidate]]:
    """How many targets are wanted, and the units to try, best first."""
    if table.select is None:
        for site in scan.sites:
            for unit in table.units or ():
                if unit >= site.width:
                    raise CampaignError(
                        f"{scan.loaded.model_id}, {site.name} has units 0 to {site.width - 1}, and not {unit}. "
                        "Correct [[targets]] units."
                    )
        chosen = [Candidate(site.name, unit) for site in scan.sites for unit in dict.fromkeys(table.units or ())]
        return len(chosen), chosen
    seen: dict[str, Moments]
    with progress("Scanning activations", scan.tokens) as advance:
        seen = moments(scan, tick=advance)
    rng = _generator(folder, "selection", scan.loaded.model_id, number)
    return table.select.count, ranked(table.select.method, seen, rng)


def _target(
    folder: Folder,
    prepared: _Prepared,
    *,
    table: Targets,
    one: Candidate,
    identity: TargetId,
    raw: Sequence[np.ndarray[Any, Any]],
) -> MadeTarget:
    episode = folder.config.episode
    return make_target(
        identity,
        asked_polarity=table.polarity,
        windows=prepared.windows,
        splits=prepared.splits,
        raw=raw,
        pool=episode.pool,
        least=(
            max(episode.practice, -(-episode.pool.practice // 2)),
            max(episode.held_out, -(-episode.pool.held_out // 2)),
        ),
        selected_by=table.select.method if table.select else "units",
        score=one.score,
        file_hash=prepared.loaded.sha256,
        derive=folder.derive,
        rng=_generator(folder, "pool", identity),
    )


def _note_small_pools(made: Sequence[MadeTarget], folder: Folder, notes: list[str]) -> None:
    asked = {"practice": folder.config.episode.pool.practice, "held_out": folder.config.episode.pool.held_out}
    for split, size in asked.items():
        sizes = [sum(item.split == split for item in one.items) for one in made]
        if min(sizes) < size:
            notes.append(
                f"{split} pools hold {min(sizes)} to {max(sizes)} items, where {size} were asked: the corpus has too "
                "few documents (one item a document)"
            )


def _generator(folder: Folder, purpose: str, *parts: object) -> np.random.Generator:
    """A generator seeded by the campaign's seed and key: the same configuration and key, the same choices."""
    return np.random.default_rng([folder.config.campaign.seed, int(folder.derive("rng", purpose, *parts), 16)])
