"""Sentence embeddings: the mean of a model's last hidden states over a text's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imitable.activations.models import load_model
from imitable.activations.running import one_thread
from imitable.campaign import Model

_AT_ONCE = 64
"""Texts in one batch."""


class Embedder:
    """Embeds texts with one model, each text once."""

    def __init__(self, path: str, *, base: Path) -> None:
        """`path` as [model] path. Raises ModelError and MissingExtra as `load_model` does."""
        self._loaded = load_model(Model.model_validate({"path": path}, context={"base": base}), base=base)
        self.about: dict[str, object] = {"path": path, "sha256": self._loaded.sha256}
        """What a build's report says of it."""
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(texts, width), mean-pooled and not normalised."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(new), _AT_ONCE):
            batch = new[start : start + _AT_ONCE]
            self._known.update(zip(batch, self._pooled(batch), strict=True))
        return np.stack([self._known[text] for text in texts])

    def _pooled(self, texts: list[str]) -> npt.NDArray[np.float32]:
        import torch

        tokenizer, device = self._loaded.tokenizer, self._loaded.device
        most = self._loaded.longest
        read = tokenizer(texts, truncation=most is not None, max_length=most)["input_ids"]
        longest = max(len(ids) for ids in read)
        ids = torch.zeros((len(read), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, each in enumerate(read):
            ids[row, : len(each)], mask[row, : len(each)] = torch.tensor(each), 1
        with one_thread(), torch.inference_mode():
            states = self._loaded.model(input_ids=ids.to(device), attention_mask=mask.to(device)).last_hidden_state
        weight = mask.to(device)[:, :, None]
        pooled: npt.NDArray[np.float32] = ((states * weight).sum(1) / weight.sum(1).clamp(min=1)).cpu().numpy()
        return pooled
