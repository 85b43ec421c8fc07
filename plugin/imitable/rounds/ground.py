"""The ground that all targets of one model share: windows, their splits, and every place that may be asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imitable.activations import Window
from imitable.rounds.records import Split

Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Places:
    """(window, position) pairs that may be asked about, in corpus order: one entry a pair."""

    window: Ints
    """Index into the ground's windows."""
    position: Ints
    """Token of that window."""
    document: Ints
    token: Ints
    """Index into all tokens of all windows, laid end to end."""

    def __len__(self) -> int:
        return len(self.window)

    def at(self, which: Ints | npt.NDArray[np.bool_]) -> Places:
        """Some of the places, by index or by mask."""
        return Places(self.window[which], self.position[which], self.document[which], self.token[which])


class Ground:
    """Windows and, by split, the places in them. `splits` is by document."""

    def __init__(self, windows: Sequence[Window], splits: Sequence[Split]) -> None:
        self.windows = windows
        lengths = np.array([len(window.token_ids) for window in windows], dtype=np.intp)
        self.ends = np.cumsum(lengths)
        """Where each window's tokens end, in all tokens laid end to end."""
        self.starts = self.ends - lengths
        window = np.repeat(np.arange(len(windows), dtype=np.intp), [len(each.focusable) for each in windows])
        position = np.array([at for each in windows for at in each.focusable], dtype=np.intp)
        document = np.array([each.document for each in windows], dtype=np.intp)[window]
        self.everywhere = Places(window, position, document, self.starts[window] + position)
        """The places of all splits."""
        belongs = np.array(splits)[document]
        self._by_split: dict[Split, Places] = {
            split: self.everywhere.at(belongs == split) for split in ("examples", "practice", "held_out")
        }

    def places(self, split: Split) -> Places:
        """The places of one split."""
        return self._by_split[split]

    def documents(self, split: Split) -> int:
        """Documents of one split that hold at least one place: no pool can be larger."""
        return len(np.unique(self.places(split).document))
