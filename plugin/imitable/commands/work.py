"""What a build has done so far, shard by shard, so that an interrupted one goes on where it was."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imitable.activations import Shard, Work, Workers, save_arrays
from imitable.errors import BuildError

Arrays = dict[str, npt.NDArray[Any]]


@contextmanager
def working(folder: Path) -> Iterator[None]:
    """Hold a build's work folder: one build at a time.

    What it holds stays when the build is interrupted or killed, or the disk is full: the next one goes on with it. When
    the build succeeds, or fails for another reason that the runner must mend, nothing is left. Raises BuildError when
    another build holds it.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        held = (folder / "lock").open("w")
    except OSError as error:
        raise BuildError(
            f"{folder.parent} cannot be written ({error}). Mend its permissions and build again."
        ) from error
    with held as lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # not on this system; two builds of one campaign are then the runner's to avoid
            pass
        except OSError as error:
            raise BuildError(f"Another build of {folder.parent} is running. Wait for it, or stop it.") from error
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            full = _no_room(error)
            if not full:
                shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                remedy = (
                    f"Make room and build again; what was done is kept in {folder}"
                    if full
                    else "Mend that and build again"
                )
                raise BuildError(f"{folder.parent} cannot be written ({error}). {remedy}.") from error
            raise
        shutil.rmtree(folder, ignore_errors=True)


def _no_room(error: BaseException) -> bool:
    """Whether an error, or what it was translated from, is a disk or quota that is full."""
    causes = (error, error.__cause__)
    return any(isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT) for one in causes)


class Stage:
    """One stage of a build: one file of results a shard."""

    def __init__(self, folder: Path, name: str, *request: object) -> None:
        """`request` is everything that the results depend on besides the shards."""
        digest = hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self.folder = folder / f"{name}-{digest}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def results(
        self,
        workers: Workers,
        work: Work,
        shards: Sequence[Shard],
        reduce: Callable[[int, Shard, dict[str, Any]], Arrays],
        *,
        tick: Callable[[int], object],
    ) -> Iterator[Arrays]:
        """What `reduce` makes of every shard's result, in order. Those that are there already are not done again."""
        paths = [self.folder / f"{number:06d}.npz" for number in range(len(shards))]
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        found = workers.map(work, (shards[number] for number in missing))
        for number, path in enumerate(paths):
            shard = shards[number]
            if not path.exists():
                save_arrays(path, **reduce(number, shard, next(found)))
            with np.load(path) as arrays:
                result = dict(arrays)
            tick(len(shard.tokens))
            yield result


class ShardFiles(Sequence[Shard]):
    """Shards on disk, read when they are asked for, without the windows that were dropped."""

    def __init__(self, paths: Sequence[Path], keep: Sequence[npt.NDArray[np.bool_]] | None = None) -> None:
        self._paths = paths
        self._keep = keep

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < len(self):
            raise IndexError(number)
        shard = Shard.load(self._paths[number])
        return shard if self._keep is None else shard.only(self._keep[number])
