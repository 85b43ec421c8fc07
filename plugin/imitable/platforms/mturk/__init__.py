"""MTurk-style sites: HITs whose workers come to our own page and are paid through the site, by boto3.

Amazon's own Mechanical Turk closed on 2026-09-30; what is left are stand-ins and sites that speak its protocol.
"""

from __future__ import annotations

import contextlib
from types import ModuleType

from imitable.campaign import Folder
from imitable.errors import MissingExtra, NoAnswer, NotOffered, PlatformError
from imitable.money import Payer
from imitable.money.by_hand import ByHand
from imitable.platforms import Collected, Progress, Published, silent
from imitable.store import Store


class MTurk:
    """`--platform mturk`. Whoever asks for its `payer` pays through the site, too."""

    def publish(
        self, folder: Folder, store: Store, *, places: int | None, dry_run: bool, progress: Progress = silent
    ) -> Published:
        """Make HITs for `places` workers in all (None: those of campaign.toml), or what they lack, and open them.

        Safe to repeat. A dry run without credentials asks the site nothing. Raises PlatformError and MoneyError.
        """
        from imitable.platforms.mturk.hits import settings_of

        settings = settings_of(folder)
        client = _client()
        from imitable.platforms.mturk.publishing import offline, publish_hits

        wanted = settings.places if places is None else places
        if wanted < 1:
            raise PlatformError("There is nothing to publish: the number of places must be 1 or more.")
        if dry_run and not client.has_credentials():
            why = "The site was not asked, for boto3 finds no credentials."
            return offline(folder, client.address(settings), wanted, why)
        with contextlib.closing(client.Api(settings)) as api:
            try:
                with progress("Making HITs", wanted) as advance:
                    return publish_hits(api, folder, store, wanted, dry_run=dry_run, advance=advance)
            except NotOffered as error:
                if dry_run and isinstance(error.__cause__, NoAnswer):
                    return offline(folder, api.url, wanted, str(error))
                raise

    def collect(self, folder: Folder, store: Store, *, progress: Progress = silent) -> Collected:
        """Read what was handed in, note on the site who took part, and compare with our sittings."""
        from imitable.platforms.by_hand import BY_HAND, uploaded
        from imitable.platforms.mturk.hits import settings_of
        from imitable.platforms.sittings import sittings_of

        if not has_endpoint(folder) and uploaded(store, "mturk"):  # no site is asked; results come with --from-file
            return Collected(sum(one.study == BY_HAND for one in sittings_of(store, "mturk")))

        settings = settings_of(folder)
        client = _client()
        from imitable.platforms.mturk.collecting import collect_assignments

        with contextlib.closing(client.Api(settings)) as api:
            return collect_assignments(api, folder, store)

    def close(self, folder: Folder, store: Store, *, now: bool = False) -> str:
        """Let the HITs expire; with `now`, end what is being played, too."""
        from imitable.platforms.by_hand import uploaded
        from imitable.platforms.mturk.hits import settings_of

        if not has_endpoint(folder) and uploaded(store, "mturk"):
            return "What was uploaded by hand is closed there: take the batch down on that site."

        settings = settings_of(folder)
        client = _client()
        from imitable.platforms.mturk.closing import close_hits

        with contextlib.closing(client.Api(settings)) as api:
            return close_hits(api, folder, store, now=now)

    def payer(self, folder: Folder) -> Payer:
        """How workers are paid: through the site, or by hand where campaign.toml and boto3 name none."""
        if not has_endpoint(folder):
            return ByHand("mturk")
        _client()
        from imitable.platforms.mturk.payer import MTurkPayer

        return MTurkPayer(folder)


def has_endpoint(folder: Folder) -> bool:
    """Whether campaign.toml, or else boto3's own settings, name a site that may be asked. Connects to nothing."""
    settings = folder.config.platform.mturk
    if settings is None:
        return False
    if settings.endpoint_url is not None:
        return True
    try:
        _client().address(settings)
    except (PlatformError, MissingExtra):
        return False
    return True


def _client() -> ModuleType:
    try:
        from imitable.platforms.mturk import client
    except ImportError as error:
        raise MissingExtra("aws", wanted_for="--platform mturk") from error
    return client
