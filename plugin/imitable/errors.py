"""The errors that imitable raises on purpose. Each message names the thing at fault and ends with what to do.

    ImitableError                 the user can fix it: printed without a traceback, exit code 1
    ├── CampaignError             campaign.toml, secret.key or the campaign's folder
    ├── CorpusError               a text that cannot be read
    ├── ModelError                a model that cannot be loaded, hooked or vouched for
    ├── BuildError                nothing playable came out of a build, or it would overwrite one that was played
    ├── StoreError                the campaign's database
    ├── PlatformError             a platform that is unknown or that refuses
    │   ├── NotOffered            it is certain that nobody was invited
    │   └── NoAnswer              nothing came back: what was asked for may have been done
    ├── MoneyError                a payment that must not be made as it is asked for
    ├── GameError                 a request that the game refuses; it says so to the annotator, kindly
    ├── MissingExtra              an optional part of the package is not installed
    └── TablesError               a table that cannot be read or written (aggregation's TableError, translated)

Errors of other libraries (pydantic, SQLAlchemy, httpx, pyarrow) are translated where they arise; they never reach
a user raw.
"""

from __future__ import annotations


class ImitableError(Exception):
    """Root of the tree. The text is one or two plain sentences, the last of them the next action."""


class CampaignError(ImitableError):
    """campaign.toml, secret.key or the folder around them."""


class CorpusError(ImitableError):
    """A text that cannot be read."""


class ModelError(ImitableError):
    """A model that cannot be loaded, hooked or vouched for."""


class BuildError(ImitableError):
    """Nothing playable came out of a build, or it would overwrite one that was played."""


class StoreError(ImitableError):
    """The campaign's database."""


class PlatformError(ImitableError):
    """A platform that is unknown or that refuses."""


class NotOffered(PlatformError):
    """A publication that failed, of which it is certain that it invited nobody: what was set aside for it is free.

    A platform raises any other error where somebody may have been invited; then the money stays aside.
    """

    def __init__(self, message: str, *, offered: int | None = None) -> None:
        super().__init__(message)
        self.offered = offered
        """Sittings that are offered there all the same, from before; None where only this publication is known of."""


class NoAnswer(PlatformError):
    """Nothing came back. With `connected`, the work may have been done, or may still be; without, it never began."""

    def __init__(self, message: str, *, connected: bool) -> None:
        super().__init__(message)
        self.connected = connected

    @property
    def may_be_done(self) -> bool:
        """Whether what was asked for may have been done all the same."""
        return self.connected


class MoneyError(ImitableError):
    """A payment that must not be made as it is asked for. Nothing was sent."""


class GameError(ImitableError):
    """A request that the game refuses, and tells the annotator so in the campaign's language. `str` is the English."""

    def __init__(self, key: str, **fields: object) -> None:
        from imitable_templates.texts import texts

        super().__init__(texts().plain(key, **fields))
        self.key = key
        """Key of its words in the catalogue of texts, and with `fields` what is filled in."""
        self.fields = fields


class TablesError(ImitableError):
    """A table that cannot be read or written."""


class MissingExtra(ImitableError):
    """An optional part of the package is not installed."""

    def __init__(self, extra: str, *, wanted_for: str) -> None:
        super().__init__(
            f"{wanted_for} needs the extra '{extra}', which is not installed. "
            f"Install it with: pip install 'imitable[{extra}]'"
        )
        self.extra = extra
