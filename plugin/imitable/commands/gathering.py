"""From a model, texts and one [[targets]] table to targets: what is read, which units are tried, who is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    windows,
)
from imitable.campaign import Folder, Model, Targets
from imitable.commands.progress import Progress
from imitable.errors import CampaignError, CorpusError
from imitable.rounds import Ground, MadeTarget, Split, TooFlat, Wish, make_target, without_shared_runs
from imitable.selection import Candidate, ranked
from imitable.targets import TargetId

_READ_AT_ONCE = 2**26
"""Activations (tokens x units) held at one time while candidates are tried: 256 MB."""


@dataclass(frozen=True)
class LeftOut:
    """A unit that could not become a target."""

    target_id: str
    reason: str


@dataclass(frozen=True)
class Prepared:
    """One model with its windows, ready for units to be read."""

    loaded: Loaded
    sites: Sequence[Site]
    ground: Ground


def prepare(
    folder: Folder, model: Model, texts: Sequence[Text], splits: Sequence[Split], progress: Progress
) -> tuple[Prepared, int]:
    """Load a model and cut the texts for it. Returns it ready to be read, and how many windows shared a run.

    Raises ModelError and CorpusError for what cannot be loaded or is too short.
    """
    corpus = folder.config.corpus
    with progress("Loading the model", 1) as advance:
        loaded = load_model(model, base=folder.path)
        advance(1)
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
    return Prepared(loaded, mlp_sites(loaded), ground), dropped


def targets_of(
    folder: Folder, prepared: Prepared, table: Targets, number: int, progress: Progress
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
                        rng=generator_for(folder, "pool", identity),
                    )
                )
            except TooFlat as reason:
                left_out.append(LeftOut(str(identity), str(reason)))
    return wanted, made, left_out


def _sites(prepared: Prepared, table: Targets) -> list[Site]:
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
    rng = generator_for(folder, "selection", scan.loaded.model_id, number)
    return table.select.count, ranked(table.select.method, seen, rng)


def _wish(folder: Folder, prepared: Prepared, table: Targets) -> Wish:
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


def generator_for(folder: Folder, purpose: str, *parts: object) -> np.random.Generator:
    """A generator seeded by the campaign's seed and key: the same configuration and key, the same choices."""
    return np.random.default_rng([folder.config.campaign.seed, int(folder.derive("rng", purpose, *parts), 16)])
