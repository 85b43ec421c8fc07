"""What a runner must know of any publication, whatever the platform."""

from __future__ import annotations

from decimal import Decimal

from imitable.campaign import Folder

STARTERS_CONTACT = "lab@example.org"
"""What `imitable new` writes as [study] contact."""


def promises(folder: Folder, *, by_hand: bool = True) -> list[str]:
    """Notes on what annotators are told, and the runner has to keep. `by_hand`: no platform moves the money."""
    config, notes = folder.config, []
    if config.study.contact == STARTERS_CONTACT:
        notes.append(f"Annotators are told to write to {STARTERS_CONTACT}: set [study] contact to your own address.")
    if by_hand and (Decimal(config.pay.base) or Decimal(config.pay.bonus_per_point)):
        notes.append(f"You hand over what [pay] promises: 'imitable pay {folder.path}' says to whom, how much and why.")
    return notes
