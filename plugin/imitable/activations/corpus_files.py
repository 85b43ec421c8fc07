"""Which files a corpus is made of, in which order: built in, on this machine, or behind an address (fsspec)."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

from imitable.activations.corpus_saved import saved_sources
from imitable.activations.corpus_source import KINDS, Source, kind_of, reason, unsigned
from imitable.campaign import Corpus
from imitable.errors import CorpusError, ImitableError, MissingExtra

_EXTRAS = {"s3": "aws", "s3a": "aws", "http": "models", "https": "models", "hf": "models"}
"""The extra that brings what reads such addresses."""
_ADVICE = "Check the address, your access to it, and the network."


def builtin_sources(name: str) -> list[Source]:
    """The corpus that ships with imitable."""
    found = Path(str(files("imitable.builtin"))) / f"{name}.txt"
    if not found.is_file():
        raise CorpusError(f"There is no built-in corpus '{name}'. The built-in one is builtin:tinystories.")
    return [_local(found)]


def local_sources(corpus: Corpus, base: Path) -> list[Source]:
    """The files that a path means: one file, those of a folder, or those that match; none if nothing is there."""
    pattern = os.path.expanduser(corpus.path)
    where = base / pattern
    try:
        if where.is_dir():
            saved = saved_sources(
                corpus,
                shown=str(where),
                read=lambda part: (where / part).read_bytes() if (where / part).is_file() else None,
                source=lambda part: _local(where / part, kind=".arrow"),
            )
            if saved is not None:
                return saved
            return [_local(file) for file in sorted(where.rglob("*")) if kind_of(file.name) and file.is_file()]
        if where.exists():
            return [_local(where)]
        matches = (base / match for match in glob.glob(pattern, root_dir=base, recursive=True))
        return [_local(file) for file in sorted(matches) if not file.is_dir()]
    except OSError as error:
        raise CorpusError(f"{where} cannot be read ({error}). Check its path and permissions.") from error


def is_address(path: str) -> bool:
    """True for what fsspec opens, such as s3://bucket/texts.jsonl."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*(::|://)", path) is not None


def remote_sources(corpus: Corpus) -> list[Source]:
    """The files that an address means: one file, those of a folder, or those that match, sorted by address."""
    address = corpus.path
    with _translated(address):
        system, path = _file_system(address)
        web = isinstance(system.protocol, tuple) and "http" in system.protocol
        source = partial(_remote, system, web)
        if any(sign in path for sign in ("*[" if web else "*?[")):
            found = system.glob(path, detail=True)
            return [source(one) for one in sorted(found) if found[one].get("type") != "directory"]
        if kind_of(_last(path, web)):
            return [source(path)]
        if system.isdir(path):
            folder = path.rstrip("/")
            saved = saved_sources(
                corpus,
                shown=address,
                read=lambda part: system.cat_file(f"{folder}/{part}") if system.exists(f"{folder}/{part}") else None,
                source=lambda part: source(f"{folder}/{part}", kind=".arrow"),
            )
            if saved is not None:
                return saved
            return [source(one) for one in sorted(system.find(path)) if kind_of(_last(one, web))]
        return [source(path)] if system.exists(path) else []


def _file_system(address: str) -> tuple[Any, str]:
    """A file system of our own: one that others use would remember their listings and their endpoint."""
    protocol = re.split("::|://", address)[0].lower()
    options: dict[str, Any] = {"skip_instance_cache": True}
    try:
        from fsspec.core import url_to_fs

        if protocol in ("http", "https"):
            from aiohttp import ClientTimeout

            # aiohttp gives a whole download five minutes; a build may take its texts more slowly than that
            options["client_kwargs"] = {"timeout": ClientTimeout(total=None, sock_connect=30, sock_read=60)}
        return cast("tuple[Any, str]", url_to_fs(address, **options))
    except ImportError as error:
        if protocol in _EXTRAS:
            raise MissingExtra(_EXTRAS[protocol], wanted_for=f"Reading {address}") from error
        raise CorpusError(f"{address} cannot be read: {error}. Install that, or copy the corpus here.") from error
    except ValueError as error:
        raise CorpusError(f"{address}: {error}. Correct [corpus] path.") from error


@contextmanager
def _translated(address: str) -> Iterator[None]:
    try:
        yield
    except ImitableError:
        raise
    except Exception as error:  # every storage service raises its own
        raise CorpusError(f"{unsigned(address)} cannot be listed ({reason(error)}). {_ADVICE}") from error


def _local(path: Path, *, kind: str | None = None) -> Source:
    return Source(str(path), path.name, kind or _kind(path.name, str(path)), lambda: path.open("rb"))


def _remote(system: Any, web: bool, path: str, *, kind: str | None = None) -> Source:
    def opener() -> IO[bytes]:
        return cast("IO[bytes]", system.open(path, "rb", **({"block_size": 0} if web else {})))  # 0: one request

    name = _last(path, web)
    shown = unsigned(str(system.unstrip_protocol(path)))
    return Source(
        shown, name, kind or _kind(name, shown), opener, foreign=(Exception,), advice=_ADVICE, seekable=not web
    )


def _last(path: str, web: bool) -> str:
    return (urlsplit(path).path if web else path).rstrip("/").rpartition("/")[2]


def _kind(name: str, shown: str) -> str:
    kind = kind_of(name)
    if kind is None:
        raise CorpusError(
            f"{shown} is not one of {', '.join(KINDS)}. Convert it, or name another file (the first three may be "
            "gzipped, such as a.txt.gz)."
        )
    return kind
