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
    FOCUS_AFTER,
    Loaded,
    Scan,
    Site,
    Text,
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
from imitable.rounds import Ground, MadeTarget, Split, TooFlat, Wish, assign_splits, make_target, without_shared_runs
from imitable.selection import Candidate, find_method, ranked
from imitable.store import holds_items, load_build, open_store, read_build, read_report, write_build
from imitable.targets import TargetId

BUILD_VERSION = 1
"""Raised when the same configuration would build something else."""

_READ_AT_ONCE = 2**26
"""Activations (tokens x units) held at one time while candidates are tried: 256 MB."""


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
    ground: Ground


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
        played = store.played() > 0
        if played and store.build_hash() != wanted:
            raise BuildError(
                f"{directory} has been played, and campaign.toml no longer describes what was built. Put the old "
                "settings back, or make a new campaign with: imitable new"
            )
        if fresh or report is None:
            made, report = _make(folder, wanted, progress)
            if played and not holds_items(store, made):
                raise BuildError(
                    f"{directory} has been played, {folder.build} is gone, and the corpus or the model is no longer "
                    f"what it was built from. Put {folder.build} back."
                )
            write_build(folder.build, made, report)
        if (fresh and not played) or store.build_hash() != wanted:
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
    for table in config.targets:
        if table.select:
            find_method(table.select.method)  # before the model is run, not after
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
                f"{prepared.loaded.model_id}: {dropped} of {dropped + len(prepared.ground.windows)} texts share a run "
                "of 12 tokens with another split and were dropped"
            )
        described.append(
            {
                "model_id": prepared.loaded.model_id,
                "sha256": prepared.loaded.sha256,
                "texts": len(prepared.ground.windows),
                **prepared.loaded.versions,
            }
        )
        for number, table in enumerate(config.targets):
            asked, found, without = _targets_of(folder, prepared, table, number, progress)
            made = _joined(made, found)
            left_out += without
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
    if loaded.longest and corpus.max_tokens > loaded.longest:
        raise CampaignError(
            f"[corpus] max_tokens is {corpus.max_tokens}, and {loaded.model_id} takes at most {loaded.longest}. "
            "Make it smaller."
        )
    cut = windows(
        loaded,
        [text.text for text in texts],
        block=corpus.block,
        shortest=corpus.shortest,
        longest=corpus.max_tokens,
    )
    if not cut:
        raise CorpusError(
            f"No text of {corpus.path} has {max(corpus.shortest, FOCUS_AFTER + 1)} tokens for {loaded.model_id}. Use "
            "longer texts, or a smaller min_tokens in [corpus]."
        )
    kept, dropped = without_shared_runs(cut, splits, special=frozenset(loaded.tokenizer.all_special_ids))
    ground = Ground(kept, splits)
    for split, least in _least(folder).items():
        if ground.documents(split) < least:
            raise CorpusError(
                f"{corpus.path} is too short: it has {ground.documents(split)} of the {least} documents that {split} "
                "pools need at least (one item a document). Use a larger corpus, a smaller block in [corpus] document, "
                "or smaller pools in [episode]."
            )
    return _Prepared(loaded, mlp_sites(loaded), ground), dropped


def _targets_of(
    folder: Folder, prepared: _Prepared, table: Targets, number: int, progress: Progress
) -> tuple[int, list[MadeTarget], list[LeftOut]]:
    """How many targets one [[targets]] table asks for, of one model, and those made.

    Candidates are tried, best first, until there are enough; each further pass over the corpus reads twice as many.
    """
    sites = _sites(prepared, table)
    scan = Scan(prepared.loaded, prepared.ground.windows, sites)
    wanted, candidates = _candidates(folder, scan, table, number, progress)
    wish = _wish(folder, prepared, table)
    made: list[MadeTarget] = []
    left_out: list[LeftOut] = []
    size, most = wanted + wanted // 4, max(1, _READ_AT_ONCE // scan.tokens)
    while candidates and len(made) < wanted:
        batch, candidates = candidates[: min(size, most)], candidates[min(size, most) :]
        size *= 2
        units: dict[str, list[int]] = {}
        for one in batch:
            units.setdefault(one.site, []).append(one.unit)
        read_sites = [site for site in sites if site.name in units]
        with progress("Reading activations", scan.tokens) as advance:
            read = columns(Scan(scan.loaded, scan.windows, read_sites), units, tick=advance)
        for one in batch:
            if len(made) == wanted:
                break
            column = units[one.site].index(one.unit)
            identity = TargetId(prepared.loaded.model_id, one.site, one.unit)
            try:
                made.append(
                    make_target(
                        identity,
                        ground=prepared.ground,
                        raw=np.concatenate([values[:, column] for values in read[one.site]]),
                        wish=wish,
                        score=one.score,
                        derive=folder.derive,
                        rng=_generator(folder, "pool", identity),
                    )
                )
            except TooFlat as reason:
                left_out.append(LeftOut(str(identity), str(reason)))
    return wanted, made, left_out


def _joined(made: list[MadeTarget], found: list[MadeTarget]) -> list[MadeTarget]:
    """All targets; one that several tables chose stands once, with all its methods in `selected_by`.

    Where only the later method gave a score, that method stands first: a target's score is its first method's.
    """
    by_id = {one.target.target_id: one for one in made}
    for one in found:
        known = by_id.setdefault(one.target.target_id, one)
        if known is not one:
            first, second = known.target, one.target
            if first.score is None and second.score is not None:
                first, second = second, first
            methods = dict.fromkeys([*first.selected_by.split(";"), *second.selected_by.split(";")])
            by_id[one.target.target_id] = replace(known, target=replace(first, selected_by=";".join(methods)))
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
    with progress("Scanning activations", scan.tokens) as advance:
        seen = moments(scan, tick=advance)
    rng = _generator(folder, "selection", scan.loaded.model_id, number)
    return table.select.count, ranked(table.select.method, seen, rng)


def _wish(folder: Folder, prepared: _Prepared, table: Targets) -> Wish:
    least = _least(folder)
    return Wish(
        polarity=table.polarity,
        pool=folder.config.episode.pool,
        least=(least["practice"], least["held_out"]),
        selected_by=table.select.method if table.select else "units",
        file_hash=prepared.loaded.sha256,
    )


def _least(folder: Folder) -> dict[Split, int]:
    """Fewest items that make a pool: half of what was asked, and enough for an episode."""
    episode = folder.config.episode
    return {
        "practice": max(episode.practice, -(-episode.pool.practice // 2)),
        "held_out": max(episode.held_out, -(-episode.pool.held_out // 2)),
    }


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
