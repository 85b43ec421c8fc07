"""Prolific: one study, whose participants are sent to our own page and paid through Prolific."""

from __future__ import annotations

from types import ModuleType

from imitable.campaign import Folder
from imitable.errors import MissingExtra, PlatformError
from imitable.money import Payer
from imitable.platforms import Collected, Progress, Published, silent
from imitable.store import Store


class Prolific:
    """`--platform prolific`. Whoever asks for its `payer` pays through Prolific, too."""

    def publish(
        self, folder: Folder, store: Store, *, places: int | None, dry_run: bool, progress: Progress = silent
    ) -> Published:
        """Make the study, or find it, see to it that it has `places` (None: those of campaign.toml), let it recruit.

        Safe to repeat. A dry run without PROLIFIC_TOKEN asks Prolific nothing. Raises PlatformError and MoneyError.
        """
        from imitable.platforms.prolific.publishing import offline, publish_study
        from imitable.platforms.prolific.study import settings_of

        client, settings = _client(), settings_of(folder)
        wanted = settings.places if places is None else places
        if wanted < 1:
            raise PlatformError("There is nothing to publish: the number of places must be 1 or more.")
        if dry_run and not client.token():
            return offline(folder, wanted, f"Prolific was not asked what it costs, for {client.TOKEN} is not set.")
        with client.connected(settings) as api:
            return publish_study(api, folder, store, wanted, dry_run=dry_run)

    def collect(self, folder: Folder, store: Store, *, progress: Progress = silent) -> Collected:
        """Read every submission of the study, and compare them with our sittings."""
        from imitable.platforms.prolific.collecting import collect_submissions
        from imitable.platforms.prolific.study import settings_of

        with _client().connected(settings_of(folder)) as api:
            return collect_submissions(api, folder, store)

    def close(self, folder: Folder, store: Store, *, now: bool = False) -> str:
        """Pause the study, and stop it once nobody is playing; with `now`, stop it and end what has begun."""
        from imitable.platforms.prolific.closing import close_study
        from imitable.platforms.prolific.study import settings_of

        with _client().connected(settings_of(folder)) as api:
            return close_study(api, folder, store, now=now)

    def over(self, folder: Folder) -> bool:
        """Whether nobody can begin any more, and nobody is playing."""
        from imitable.platforms.prolific.closing import is_over
        from imitable.platforms.prolific.study import settings_of

        with _client().connected(settings_of(folder)) as api:
            return is_over(api, folder)

    def payer(self, folder: Folder) -> Payer:
        """How its participants are paid."""
        _client()
        from imitable.platforms.prolific.payer import ProlificPayer

        return ProlificPayer(folder)


def _client() -> ModuleType:
    try:
        from imitable.platforms.prolific import client
    except ImportError as error:
        raise MissingExtra("serve", wanted_for="Prolific") from error
    return client
