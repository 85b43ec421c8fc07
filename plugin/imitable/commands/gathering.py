"""From a model and a corpus on disk to shards of windows that are ready to be read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from imitable.activations import (
    FOCUS_AFTER,
    Anatomy,
    Fingerprint,
    Loaded,
    RayWorkers,
    Text,
    Threads,
    Workers,
    cut,
    held_out_corpus,
    load_model,
    scan_dtype,
    special_tokens,
    stream_corpus,
    study,
)
from imitable.campaign import Corpus, Folder, Model
from imitable.commands.progress import Progress
from imitable.commands.work import ShardFiles
from imitable.errors import CampaignError, CorpusError
from imitable.rounds import Split, assign_splits, windows_to_keep


@dataclass(frozen=True)
class Prepared:
    """One model with its windows, ready for units to be read."""

    loaded: Loaded
    anatomy: Anatomy
    workers: Workers
    shards: ShardFiles
    splits: list[Split]
    """By document."""
    tokens: int
    """Tokens in all windows that are kept."""
    windows: int
    dropped: int
    """Windows that stand on two sides or stood there before."""
    dtype: Literal["float32", "bfloat16"]
    """What the corpus is scanned in."""
    work: Path
    """Folder for results that a resumed build takes up again."""
    about: dict[str, object]
    """What the build's report says of model and corpus."""


def prepare(folder: Folder, model: Model, *, work: Path, ray: str | None, progress: Progress) -> Prepared:
    """Load a model and cut the corpus for it. `ray`: a cluster's address, `local`, or None for this process alone.

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
    anatomy = study(loaded)
    work = work / loaded.sha256[:16]
    work.mkdir(mode=0o700, exist_ok=True, parents=True)
    counted = _cut(folder, loaded, work, progress)
    splits = _splits(folder, counted)
    paths = sorted(work.glob("shard-*.npz"))
    if not paths:
        raise CorpusError(
            f"No text of {corpus.path} has {max(corpus.shortest, FOCUS_AFTER + 1)} tokens for {loaded.model_id}. Use "
            "longer texts, or a smaller min_tokens in [corpus]."
        )
    special = frozenset(special_tokens(loaded.tokenizer))
    keep = windows_to_keep(ShardFiles(paths), splits, special=special, work=work)
    shards = ShardFiles(paths, keep)
    tokens = _enough(folder, shards, splits)
    dtype = scan_dtype(loaded, model.scan_dtype)
    return Prepared(
        loaded=loaded,
        anatomy=anatomy,
        workers=Threads(loaded) if ray is None else _ray(folder, model, loaded, ray),
        shards=shards,
        splits=splits,
        tokens=tokens,
        windows=int(sum(each.sum() for each in keep)),
        dropped=int(sum((~each).sum() for each in keep)),
        dtype=dtype,
        work=work,
        about={
            "model_id": loaded.model_id,
            "path": model.path,
            "sha256": loaded.sha256,
            "files": loaded.files,
            **loaded.versions,
            "scan_dtype": dtype,
            "corpus_sha256": counted.sha256,
            "texts": counted.texts + counted.held_out_texts,
            "windows": int(sum(each.sum() for each in keep)),
            "tokens": tokens,
        },
    )


@dataclass(frozen=True)
class _Counted:
    """What one pass over the corpus counted."""

    texts: int
    held_out_texts: int
    """Texts of the second corpus."""
    sha256: str

    def documents(self, corpus: Corpus) -> tuple[int, int]:
        """Documents of the first corpus and of the second."""
        return -(-self.texts // corpus.block), -(-self.held_out_texts // corpus.block)


def _cut(folder: Folder, loaded: Loaded, work: Path, progress: Progress) -> _Counted:
    """Cut the corpus into shards under `work`, unless that was done, from the same texts, by an interrupted build."""
    corpus = folder.config.corpus
    done = work / "cut.json"
    if done.exists():
        before = _Counted(**json.loads(done.read_text(encoding="utf-8")))
        with progress("Reading the corpus again", 0) as advance:
            for _ in (stream := _Stream(folder)).numbered():
                advance(1)
        if stream.counted() == before:
            return before
    shutil.rmtree(work)  # results for another corpus, or shards that were not all written
    work.mkdir(mode=0o700)
    stream = _Stream(folder)
    with progress("Cutting the corpus", 0) as advance:
        cut(
            loaded,
            stream.numbered(),
            shortest=corpus.shortest,
            longest=corpus.max_tokens,
            folder=work,
            tick=advance,
        )
    counted = stream.counted()
    half = done.with_name("cut.json.half")
    half.write_text(json.dumps(counted.__dict__), encoding="utf-8")
    half.rename(done)
    return counted


class _Stream:
    """The corpus, and the second one after it, as (document, text) pairs that are counted as they pass."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._marks = [Fingerprint(), Fingerprint()]

    def numbered(self) -> Iterator[tuple[int, str]]:
        corpus, base = self._folder.config.corpus, self._folder.path
        second = held_out_corpus(corpus, base=base)
        yield from self._pairs(self._marks[0], stream_corpus(corpus, base=base), first=0)
        if second:
            documents = -(-self._marks[0].count // corpus.block)
            yield from self._pairs(self._marks[1], stream_corpus(second, base=base), first=documents)

    def _pairs(self, mark: Fingerprint, texts: Iterable[Text], *, first: int) -> Iterator[tuple[int, str]]:
        block = self._folder.config.corpus.block
        for text in mark.passing(texts):
            yield first + (mark.count - 1) // block, text.text

    def counted(self) -> _Counted:
        one, two = self._marks
        return _Counted(one.count, two.count, one.sha256 if not two.count else f"{one.sha256}+{two.sha256}")


def _splits(folder: Folder, counted: _Counted) -> list[Split]:
    pool = folder.config.episode.pool
    first, second = counted.documents(folder.config.corpus)
    held_out = 0 if second else pool.held_out
    rng = generator_for(folder, "splits")
    splits = assign_splits(first, practice=pool.practice, held_out=held_out, rng=rng)
    splits.extend("held_out" for _ in range(second))
    return splits


def _enough(folder: Folder, shards: ShardFiles, splits: Sequence[Split]) -> int:
    """Tokens in all shards. Raises CorpusError when a split has too few documents for its pools."""
    tokens = 0
    documents: dict[Split, int] = dict.fromkeys(("examples", "practice", "held_out"), 0)
    for shard in shards:
        tokens += len(shard.tokens)
        for document in np.unique(shard.document):
            documents[splits[document]] += 1
    for split, least in least_items(folder).items():
        if documents[split] < least:
            corpus = folder.config.corpus
            path = corpus.held_out_path if corpus.held_out_path and split == "held_out" else corpus.path
            raise CorpusError(
                f"{path} is too short: it has {documents[split]} of the {least} documents that {split} pools need at "
                "least (one item a document; texts that stand on two sides, or twice, do not count). Use a larger "
                "corpus, a smaller block in [corpus] document, or smaller pools in [episode]."
            )
    return tokens


def least_items(folder: Folder) -> dict[Split, int]:
    """Fewest items that make a pool: half of what was asked, and enough for an episode."""
    episode = folder.config.episode
    return {
        "practice": max(episode.practice, -(-episode.pool.practice // 2)),
        "held_out": max(episode.held_out, -(-episode.pool.held_out // 2)),
    }


def _ray(folder: Folder, model: Model, loaded: Loaded, address: str) -> RayWorkers:
    return RayWorkers(model, base=folder.path, sha256=loaded.sha256, address=None if address == "local" else address)


def generator_for(folder: Folder, purpose: str, *parts: object) -> np.random.Generator:
    """A generator seeded by the campaign's seed and key: the same configuration and key, the same choices."""
    return np.random.default_rng([folder.config.campaign.seed, int(folder.derive("rng", purpose, *parts), 16)])
