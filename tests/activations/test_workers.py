"""Whoever runs the model, on however many threads or processes, every shard's result is the same bytes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from building import stories
from imitable.activations import Loaded, RayWorkers, Shard, Threads, Work, cut, load_model, mlp_sites
from imitable.campaign import Model
from imitable.errors import ModelError

MODEL = Model(path="builtin:stories260K")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load_model(MODEL, base=tmp_path_factory.mktemp("base"))


@pytest.fixture
def shards(loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Shard]:
    monkeypatch.setattr("imitable.activations.cutting.SHARD_TOKENS", 1500)
    pairs = ((number // 2, text) for number, text in enumerate(stories(120)))
    return [Shard.load(path) for path in cut(loaded, pairs, shortest=20, longest=32, folder=tmp_path)]


def works(loaded: Loaded) -> list[Work]:
    sites = tuple(mlp_sites(loaded)[1:4:2])
    units = {site.name: (0, 5, 9) for site in sites}
    return [Work(sites, None, "float32"), Work(sites, units, "float32"), Work(sites, units, "bfloat16")]


def bytes_of(results: Iterator[dict[str, Any]]) -> list[list[bytes]]:
    return [
        [np.asarray(each.powers if hasattr(each, "powers") else each).tobytes() for each in result.values()]
        for result in results
    ]


def test_one_thread_and_three_give_the_same_bytes_in_the_same_order(loaded: Loaded, shards: list[Shard]) -> None:
    assert len(shards) >= 8
    for work in works(loaded):
        alone, together = (bytes_of(Threads(loaded, count).map(work, shards)) for count in (1, 3))
        assert alone == together


def test_shards_are_asked_for_a_few_ahead(loaded: Loaded, shards: list[Shard]) -> None:
    asked = []

    def one_by_one() -> Iterator[Shard]:
        for number, shard in enumerate(shards):
            asked.append(number)
            yield shard

    results = Threads(loaded, 2).map(works(loaded)[0], one_by_one())
    next(results)
    assert len(asked) <= 6
    results.close()  # type: ignore[attr-defined]  # it is a generator


def test_an_error_in_one_shard_reaches_the_caller(loaded: Loaded, shards: list[Shard]) -> None:
    broken = Work(works(loaded)[1].sites, {"mlp.1": (0,), "mlp.3": (0,)}, "float32")
    with loaded_with_nan(loaded), pytest.raises(ModelError, match=r"mlp\.3: the model gives NaN .* Check its weights"):
        list(Threads(loaded, 2).map(broken, shards))


class loaded_with_nan:  # noqa: N801  # reads as a phrase: with loaded_with_nan(...)
    """The model, while one weight of its fourth block is no number."""

    def __init__(self, loaded: Loaded) -> None:
        self.weight = loaded.model.layers[3].mlp.up_proj.weight

    def __enter__(self) -> None:
        self.kept = self.weight.detach().clone()
        self.weight.data[0, 0] = float("nan")

    def __exit__(self, *_: object) -> None:
        self.weight.data.copy_(self.kept)


@pytest.fixture
def cluster(loaded: Loaded, tmp_path: Path) -> Iterator[RayWorkers]:
    """A real Ray cluster of two processes on this machine."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    workers = RayWorkers(MODEL, base=tmp_path, sha256=loaded.sha256)
    try:
        yield workers
    finally:
        workers.close()
        ray.shutdown()


def pids(cluster: RayWorkers) -> list[int]:
    """The processes that hold a model."""
    return [ray.get(actor.__ray_call__.remote(lambda _worker: os.getpid())) for actor in cluster._actors]


def test_many_processes_give_the_same_bytes_also_when_one_is_killed(
    loaded: Loaded, shards: list[Shard], cluster: RayWorkers
) -> None:
    for work in works(loaded)[:2]:
        alone = bytes_of(Threads(loaded, 1).map(work, shards))
        victims = pids(cluster)
        assert len(set(victims)) == 2
        results = cluster.map(work, shards)
        first = next(results)
        os.kill(victims[0], signal.SIGKILL)
        assert bytes_of(iter([first, *results])) == alone


def test_a_machine_with_other_weights_is_refused(loaded: Loaded, shards: list[Shard], cluster: RayWorkers) -> None:
    cluster.close()
    other = RayWorkers(MODEL, base=Path(), sha256="0" * 64)
    with pytest.raises(ModelError, match=r"A worker found other weights .*Give all machines the same folder"):
        list(other.map(works(loaded)[0], shards[:1]))
    other.close()
