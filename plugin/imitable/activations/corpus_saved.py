"""Folders that `datasets.save_to_disk` wrote: their Arrow files are read as they are, without `datasets`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from imitable.activations.corpus_source import Source
from imitable.campaign import Corpus
from imitable.errors import CorpusError


def saved_sources(
    corpus: Corpus, *, shown: str, read: Callable[[str], bytes | None], source: Callable[[str], Source]
) -> list[Source] | None:
    """The Arrow files of a saved data set, in its order; None for a folder of another kind.

    `read` gives a file of the folder (None: it has no such file), `source` makes one ready to be streamed.
    """
    folder = ""
    splits = _described(read("dataset_dict.json"), f"{shown}/dataset_dict.json", "splits", str)
    if splits is not None:
        if corpus.split not in splits:
            raise _no_split(shown, corpus.split, splits)
        folder = f"{corpus.split}/"
    state = read(f"{folder}state.json")
    where = f"{shown}/{folder}state.json"
    if state is None and splits is None:
        return None
    data_files = _described(state, where, "_data_files", dict)
    if data_files is None:
        raise CorpusError(f"There is no {where}, though the folder names that split. Save the data set again.")
    own = json.loads(state or b"{}").get("_split")
    if splits is None and isinstance(own, str) and own != corpus.split and "split" in corpus.model_fields_set:
        raise _no_split(shown, corpus.split, [own])
    return [source(f"{folder}{one['filename']}") for one in data_files]


def _described(raw: bytes | None, where: str, key: str, kind: type) -> list[Any] | None:
    if raw is None:
        return None
    try:
        found = json.loads(raw)[key]
    except (ValueError, TypeError, KeyError) as error:
        raise CorpusError(f"{where} is not what datasets writes ({error!r}). Save the data set again.") from error
    if not isinstance(found, list) or not all(isinstance(one, kind) for one in found):
        raise CorpusError(f"{where}, {key}: not what datasets writes. Save the data set again.")
    return found


def _no_split(shown: str, split: str, among: list[str]) -> CorpusError:
    return CorpusError(f"{shown} has no split '{split}'. Name one of {', '.join(among)} in [corpus] split.")
