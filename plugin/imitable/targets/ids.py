"""Target ids, `MODEL/SITE/INDEX[:POLARITY]`, parsed from the right so that MODEL may hold slashes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from imitable.errors import CampaignError

Kind = Literal["neuron", "head", "direction", "probe", "latent"]
"""Neuron: an MLP hidden unit. Head: an attention head's output. Direction, probe: on the residual stream.
Latent: of a sparse autoencoder."""

Polarity = Literal["pos", "neg", "both"]
"""Which side of the activation is played. `pos` is not written in an id."""

_NAME = r"[A-Za-z0-9_-]+"
_SITES: dict[Kind, str] = {
    "neuron": r"mlp\.[0-9]+",
    "head": rf"head\.[0-9]+\.(norm|along-{_NAME})",
    "direction": rf"direction\.[0-9]+\.{_NAME}",
    "probe": rf"probe\.[0-9]+\.{_NAME}",
    "latent": rf"sae\.{_NAME}\.[0-9]+",
}


def kind_of_site(site: str) -> Kind:
    """The kind of target that lives at a site: `mlp.3` holds neurons.

    Raises CampaignError for a site that no kind has.
    """
    for kind, pattern in _SITES.items():
        if re.fullmatch(pattern, site):
            return kind
    raise CampaignError(
        f"'{site}' is not a site. Sites look like mlp.3, head.2.norm, head.2.along-NAME, direction.4.NAME, "
        "probe.4.NAME or sae.NAME.4: write one of these."
    )


@dataclass(frozen=True, order=True)
class TargetId:
    """The address of one target: `stories260K/mlp.3/117`, `SmolLM2-135M/mlp.21/673:neg`."""

    model: str
    """Name of the model, which may hold slashes."""
    site: str
    """Where in the model, for instance `mlp.3` for the hidden units of the fourth MLP."""
    index: int
    """Unit at the site, 0-based."""
    polarity: Polarity = "pos"

    def __post_init__(self) -> None:
        if not self.model or self.index < 0:
            raise CampaignError(
                f"A target needs a model's name and an index of 0 or more, not {self.model!r} and "
                f"{self.index}. Write it as MODEL/SITE/INDEX, for instance stories260K/mlp.3/117."
            )
        kind_of_site(self.site)

    @property
    def kind(self) -> Kind:
        """The kind of target, which follows from the site."""
        return kind_of_site(self.site)

    def __str__(self) -> str:
        suffix = "" if self.polarity == "pos" else f":{self.polarity}"
        return f"{self.model}/{self.site}/{self.index}{suffix}"

    @classmethod
    def parse(cls, text: str) -> TargetId:
        """Read an id. Raises CampaignError with the expected form."""
        parts = text.rsplit("/", 2)
        match = re.fullmatch(r"([0-9]+)(?::(pos|neg|both))?", parts[-1])
        if len(parts) != 3 or match is None:
            raise CampaignError(
                f"'{text}' is not a target id. Write MODEL/SITE/INDEX[:POLARITY], for instance "
                f"stories260K/mlp.3/117:neg, with a polarity of {', '.join(get_args(Polarity))}."
            )
        polarity: Polarity = match[2] or "pos"  # type: ignore[assignment]  # the pattern allows nothing else
        return cls(parts[0], parts[1], int(match[1]), polarity)
