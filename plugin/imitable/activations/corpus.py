"""Texts from what ships with imitable, files, folders, globs, addresses and data sets, one after the other.

The memory that reading takes does not grow with the corpus: files are read piece by piece, and no text is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from imitable.activations.corpus_files import builtin_sources, is_address, local_sources, remote_sources
from imitable.activations.corpus_formats import read_source
from imitable.activations.corpus_hub import could_be_on_the_hub, hub_texts
from imitable.activations.corpus_source import KINDS, unsigned
from imitable.activations.corpus_text import Fingerprint, Text
from imitable.campaign import Corpus
from imitable.errors import CorpusError

__all__ = ["Fingerprint", "Text", "held_out_corpus", "read_corpus", "stream_corpus"]


def stream_corpus(corpus: Corpus, *, base: Path) -> Iterator[Text]:
    """All texts of a corpus, in a fixed order, as they are asked for. Relative paths start at `base`, the campaign's
    folder.

    Raises CorpusError at once for a corpus that is not there (for a single remote file: with its first text); for one
    that is empty, binary or not UTF-8, naming the file and the line, when that place is reached.
    """
    return _at_least_one(islice(_texts(corpus, base), corpus.max_texts), corpus.path)


def read_corpus(corpus: Corpus, *, base: Path) -> list[Text]:
    """All texts of a small corpus at once."""
    return list(stream_corpus(corpus, base=base))


def held_out_corpus(corpus: Corpus, *, base: Path) -> Corpus | None:
    """The second corpus, from which all held-out items come, as one of its own; None where there is only one.

    Raises CorpusError where both read one file of this machine, by whatever spelling of its path.
    """
    if corpus.held_out_path is None:
        return None
    second: dict[str, object] = {
        "path": corpus.held_out_path,
        "column": corpus.held_out_column or corpus.column,
        "split": corpus.held_out_split or corpus.split,
        "subset": corpus.subset if corpus.held_out_path == corpus.path else None,
        "held_out_path": None,
        "held_out_column": None,
        "held_out_split": None,
    }
    other = corpus.model_copy(update=second)
    mine, theirs = (_files(one, base) for one in (corpus, other))
    if both := sorted(mine & theirs):
        raise CorpusError(
            f"[corpus] held_out_path reads {both[0]}, and so does path: held-out items must come from other texts. "
            "Name another file, or remove held_out_path."
        )
    return other


def _files(corpus: Corpus, base: Path) -> set[Path]:
    """The files of this machine that a corpus is read from, as they really are."""
    if is_address(corpus.path):
        return set()
    name = corpus.path.removeprefix("builtin:")
    sources = local_sources(corpus, base) if name == corpus.path else builtin_sources(name)
    return {Path(source.shown).resolve() for source in sources}


def _texts(corpus: Corpus, base: Path) -> Iterator[Text]:
    path = corpus.path
    if path.startswith("builtin:"):
        sources, where = builtin_sources(path.removeprefix("builtin:")), path
    elif is_address(path):
        sources, where = remote_sources(corpus), unsigned(path)
    else:
        sources, where = local_sources(corpus, base), str(base / Path(path).expanduser())
        if not sources and not Path(where).exists() and could_be_on_the_hub(path):
            return hub_texts(corpus, missing=f"There is no file or folder {where}")
    if not sources:
        raise CorpusError(
            f"No corpus at {where}: no file, no folder with {', '.join(KINDS)} files, no match. Correct [corpus] path."
        )
    return (text for source in sources for text in read_source(source, corpus.column))


def _at_least_one(texts: Iterable[Text], path: str) -> Iterator[Text]:
    empty = True
    for text in texts:
        empty = False
        yield text
    if empty:
        raise CorpusError(f"{path} holds no text at all. Name a corpus with text in [corpus] path.")
