"""`imitable publish`: offer the campaign to annotators on a platform, once there is money for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from imitable.campaign import Folder
from imitable.commands.folders import built
from imitable.errors import MoneyError
from imitable.money.budget import set_aside
from imitable.money.fairness import fairness
from imitable.money.ledger import decide, decided
from imitable.platforms import Progress, Published, find_platform, silent
from imitable.store import Store


def publish(
    directory: Path,
    *,
    platform: str = "web",
    places: int | None = None,
    pilot: bool = False,
    although: str = "",
    dry_run: bool = False,
    progress: Progress = silent,
) -> Published:
    """Publish a built campaign, and set the worst case of what it costs aside first. Safe to repeat.

    On a platform that pays, and with a [pay] floor_per_hour, a `pilot` of `places` comes first, and the rest is refused
    while an hour of it earned less than the floor; `although` says in writing why it is published all the same. Raises
    ImitableError subclasses, and then nobody was invited.
    """
    chosen, now = find_platform(platform), datetime.now(UTC)
    with built(directory, as_configured=True) as (folder, store):
        if hasattr(chosen, "payer") and not pilot:
            _refuse_unfair(folder, store, platform, although, dry_run=dry_run)
        would = chosen.publish(folder, store, places=places, dry_run=True, progress=progress)
        money = set_aside(store, folder, platform, would.sittings, now=now, dry_run=dry_run)
        done = would if dry_run else chosen.publish(folder, store, places=places, dry_run=False, progress=progress)
        return replace(done, notes=(*done.notes, money.warning)) if money.warning else done


def _refuse_unfair(folder: Folder, store: Store, platform: str, although: str, *, dry_run: bool) -> None:
    """Raise MoneyError unless a pilot showed that an hour earns the floor, or somebody says why not, in writing."""
    pay = folder.config.pay
    if not Decimal(pay.floor_per_hour) or not (Decimal(pay.base) or Decimal(pay.bonus_per_point)) or dry_run:
        return
    now = datetime.now(UTC)
    decide(store, folder, now=now)
    with store.read() as connection:
        fair = fairness(connection, folder, platform=platform)
    if fair is not None and fair.fair:
        return
    if although.strip():
        with store.write() as connection:
            decided(connection, "although", platform, although, now=now)
        return
    again = f"imitable publish {folder.path} --platform {platform}"
    if fair is None:
        raise MoneyError(
            f"Nobody has been paid for a sitting on {platform} yet, so it is not known what an hour earns. Nothing was "
            f"offered. Begin with a few: {again} --pilot 5"
        )
    raise MoneyError(
        f"In the pilot an hour earned {fair.per_hour}, less than [pay] floor_per_hour, {fair.floor} (median of "
        f"{fair.sittings} sittings, {fair.active_minutes:.0f} active minutes each). Nothing was offered. Raise [pay] "
        f"base, or say in writing why it is right: {again} --although TEXT"
    )


def publish_files(directory: Path, out: Path, *, places: int | None = None) -> Published:
    """Write Label Studio tasks to import by hand, of one round each and without answers, into the new folder `out`.

    Raises ImitableError subclasses, and then `out` is not there.
    """
    from imitable.platforms.label_studio.files import write_files

    with built(directory, as_configured=True) as (folder, store):
        return write_files(folder, store, out, places=places)
