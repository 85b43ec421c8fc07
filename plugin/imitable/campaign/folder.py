"""A campaign's folder: campaign.toml, the secret key that all ids come from, and what a build leaves there."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from imitable.campaign.config import Campaign, read_config
from imitable.errors import CampaignError
from imitable_templates.texts import Texts, TextsError, texts

KEY_BYTES = 32


@dataclass(frozen=True)
class Folder:
    """A campaign's folder: campaign.toml, secret.key, build/ and what the game writes."""

    path: Path
    config: Campaign
    key: bytes
    """The campaign key: every id is derived from it, and it is never exported."""

    @property
    def build(self) -> Path:
        """Where `imitable build` puts what it made."""
        return self.path / "build"

    def derive(self, purpose: str, *parts: object, size: int = 16) -> str:
        """`size` hex digits of HMAC-SHA256(key, purpose and parts, one a line): an id that tells nothing."""
        message = "\n".join([purpose, *(str(part) for part in parts)]).encode()
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()[:size]

    def annotator_id(self, platform: str, platform_id: str) -> str:
        """`a_` and 16 hex digits; the platform's own id cannot be recovered from it without the key."""
        return "a_" + self.derive(platform, platform_id)

    def consent_text(self) -> str:
        """The consent text, or an empty string when the campaign states none."""
        if not self.config.study.consent:
            return ""
        path = self.path / self.config.study.consent
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CampaignError(
                f"The consent text {path} named in campaign.toml, [study] consent, cannot be read "
                f"({error}). Write it as UTF-8 text, or remove the line."
            ) from error

    def texts(self) -> Texts:
        """Every word that annotators read. Raises CampaignError naming file and key."""
        study = self.config.study
        try:
            return texts(study.language, self.path / study.texts if study.texts else None)
        except TextsError as error:
            raise CampaignError(f"campaign.toml, [study] language and texts: {error}") from error


def open_folder(path: Path) -> Folder:
    """Read and check a campaign's folder. Raises CampaignError naming file, table and key."""
    config = read_config(path / "campaign.toml")
    key_path = path / "secret.key"
    try:
        key = bytes.fromhex(key_path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise CampaignError(
            f"{key_path} is missing or is not a key ({error}). Put back the file that 'imitable new' made: "
            "all ids of this campaign come from it."
        ) from error
    if len(key) < KEY_BYTES:
        raise CampaignError(f"{key_path} holds only {len(key)} bytes; put back the {KEY_BYTES}-byte key.")
    folder = Folder(path, config, key)
    folder.texts()  # what is wrong with them is said before anything begins
    return folder


def write_key(path: Path) -> None:
    """Make a fresh campaign key at `path`, readable by its owner only; an existing key is never replaced."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
