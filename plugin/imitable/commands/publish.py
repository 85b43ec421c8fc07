"""`imitable publish`: offer the campaign to annotators on a platform, once there is money for them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from imitable.campaign import Folder
from imitable.commands.closed import note_open
from imitable.commands.folders import built
from imitable.errors import ImitableError, MoneyError, NotOffered, PlatformError
from imitable.money.budget import Aside, give_back, set_aside
from imitable.money.fairness import would_be
from imitable.money.ledger import decided
from imitable.platforms import Progress, Published, find_platform, silent
from imitable.store import Store, in_turn

BUSY = "Another 'imitable publish' or 'imitable close' of this campaign is running. Wait for it, then try again."


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

    On a platform that pays, and with a [pay] floor_per_hour, a `pilot` of `places` comes first, and the rest, and more
    pilots, are refused while an hour of it would earn less than the floor by [pay] as it stands now (a dry run notes
    that); `although` says in writing why it is published all the same. Raises ImitableError subclasses. What was set
    aside is free again where it is certain that nobody was invited, and stays aside where somebody may have been; the
    error says which.
    """
    chosen, now = find_platform(platform), datetime.now(UTC)
    with built(directory, as_configured=True) as (folder, store):
        with nullcontext() if dry_run else in_turn(store, folder, "publish", busy=MoneyError(BUSY)):
            unfair = _unfair(folder, store, platform, pilot=pilot) if hasattr(chosen, "payer") else ""
            if unfair and not dry_run and not although.strip():
                raise MoneyError(unfair)
            done = chosen.publish(folder, store, places=places, dry_run=True, progress=progress)
            aside = set_aside(store, folder, platform, done.sittings, now=now, charged=done.each, dry_run=dry_run)
            if not dry_run:
                if unfair:
                    with store.write() as connection:
                        decided(connection, "although", platform, although, now=now)
                try:
                    done = chosen.publish(folder, store, places=places, dry_run=False, progress=progress)
                except ImitableError as error:
                    raise _failed(store, platform, aside, error) from error
                with store.write() as connection:
                    note_open(connection, platform, now=now)
        before = f"Before this can be done: {unfair}" if unfair and dry_run else ""
        return replace(done, notes=(*done.notes, *filter(None, (before, aside.standing.warning))))


def _failed(store: Store, platform: str, aside: Aside, error: ImitableError) -> ImitableError:
    """What to raise when a platform did not publish: with what became of the money that was set aside for it."""
    if isinstance(error, NotOffered):
        free = give_back(store, platform, aside, offered=error.offered, now=datetime.now(UTC))
        said = f"Nobody was invited, and the {free} that were set aside for it are free again. " if free.minor else ""
        return NotOffered(f"{said}{error}", offered=error.offered)
    said = f"Somebody may have been invited all the same, so {aside.amount} stay set aside. " if aside.places else ""
    return PlatformError(f"{said}{error}")


def _unfair(folder: Folder, store: Store, platform: str, *, pilot: bool) -> str:
    """Why the rest must not be offered yet, by what a pilot showed of an hour; empty where it may.

    It counts what the pilot's sittings would earn by [pay] as it stands now, for that is what the next ones are
    promised: topping up the pilot does not make the rest fair.
    """
    pay = folder.config.pay
    if not Decimal(pay.floor_per_hour) or not (Decimal(pay.base) or Decimal(pay.bonus_per_point)):
        return ""
    with store.read() as connection:
        fair = would_be(connection, folder, platform)
    if fair.fair if fair is not None else pilot:
        return ""
    again = f"imitable publish {folder.path} --platform {platform}"
    if fair is None:
        return (
            f"Nobody has played a sitting on {platform} to its end yet, so it is not known what an hour earns. Nothing "
            f"was offered. Begin with a few: {again} --pilot 5"
        )
    return (
        f"In the pilot an hour earned {fair.per_hour} by [pay] as it stands now, less than floor_per_hour, "
        f"{fair.floor} (median of {fair.sittings} sittings; one takes {fair.active_minutes:.0f} active minutes). "
        "Nothing was offered. Raise [pay] bonus_per_point, or base (a study that was published keeps its reward: a "
        f"higher one needs a campaign of its own), or say in writing why it is right: {again} --although TEXT"
    )


def publish_files(directory: Path, out: Path, *, platform: str, places: int | None = None) -> Published:
    """Write what is uploaded by hand into the new folder `out`, without answers: for Label Studio or MTurk-style sites.

    Their worst case is set aside as for any publication. Raises ImitableError subclasses, and then `out` is not there.
    """
    from imitable.platforms.label_studio import files as label_studio
    from imitable.platforms.mturk import files as mturk

    write = {"label-studio": label_studio.write_files, "mturk": mturk.write_files}[platform]
    now = datetime.now(UTC)
    with built(directory, as_configured=True) as (folder, store):
        with in_turn(store, folder, "publish", busy=MoneyError(BUSY)):
            would = write(folder, store, out, places=places, dry_run=True)
            aside = set_aside(store, folder, platform, would.sittings, now=now)
            try:
                done = write(folder, store, out, places=places)
            except ImitableError as error:  # there are no files, or all of them
                raise _failed(store, platform, aside, NotOffered(str(error))) from error
            with store.write() as connection:
                note_open(connection, platform, now=now)
        return done
