"""Data sets of the Hugging Face hub, streamed: nothing of them is stored on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from imitable.activations.corpus_source import kind_of, reason
from imitable.activations.corpus_text import Text, checked
from imitable.campaign import Corpus
from imitable.errors import CorpusError, MissingExtra

_SECONDS = 20.0
"""How long the hub may take to say whether it has a data set."""


def could_be_on_the_hub(path: str) -> bool:
    """True for `name` or `owner/name` that does not look like a file."""
    return kind_of(path) is None and re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", path, re.ASCII) is not None


def hub_texts(corpus: Corpus, *, missing: str) -> Iterator[Text]:
    """The texts of one split. `missing` says what is not on this machine, for a data set that cannot be had either."""
    try:
        import datasets  # noqa: F401
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingExtra("models", wanted_for=f"{missing}, and a data set '{corpus.path}' of the hub") from error
    failed = f"{missing}, and the data set {_named(corpus)} cannot be had from the Hugging Face hub"
    with _translated(failed):
        HfApi().dataset_info(corpus.path, timeout=_SECONDS)  # datasets itself would ask for half a minute
    return data_set_texts(corpus, failed=failed)


def data_set_texts(corpus: Corpus, *, failed: str) -> Iterator[Text]:
    """The texts of what `datasets` finds under `corpus.path`. Code that a data set brings along is never run."""
    import datasets

    with _translated(failed), _quiet(datasets):
        rows = datasets.load_dataset(corpus.path, corpus.subset, split=corpus.split, streaming=True)
    return _texts(_translating(rows, f"The data set {_named(corpus)} broke off"), corpus)


def _named(corpus: Corpus) -> str:
    return f"{corpus.path}{f', subset {corpus.subset}' if corpus.subset else ''}, split {corpus.split}"


def _texts(rows: Iterable[dict[str, Any]], corpus: Corpus) -> Iterator[Text]:
    for number, row in enumerate(rows, 1):
        if corpus.column not in row:
            raise CorpusError(
                f"{corpus.path}: no column '{corpus.column}' among {', '.join(row)}. "
                "Name the column that holds text in [corpus] column."
            )
        yield checked(row[corpus.column], shown=corpus.path, name=corpus.path, line=number)


def _translating(rows: Iterable[dict[str, Any]], failed: str) -> Iterator[dict[str, Any]]:
    with _translated(failed):
        yield from rows


@contextmanager
def _translated(failed: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # readers of forty formats and two HTTP libraries raise what they like
        raise CorpusError(
            f"{failed} ({reason(error)}). Correct path, subset and split in [corpus], or copy the corpus here."
        ) from error


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """No bars and no warnings of `datasets` while one is opened; after it, as the caller had them."""
    bars, level = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()
