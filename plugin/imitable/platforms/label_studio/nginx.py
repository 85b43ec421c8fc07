"""nginx between annotators and Label Studio: what it passes on, and that it asks us whose task is whose."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from imitable.campaign import Folder
from imitable.errors import PlatformError
from imitable.game.label_studio import allowing, names

LISTEN = "8081"


@dataclass(frozen=True)
class _Server:
    url: str
    scheme: str
    host: str
    """As others call it."""
    address: str
    """Host and port."""


def nginx_config(folder: Folder, *, listen: str = LISTEN) -> str:
    """The whole configuration, to be included where nginx has `http`. Raises PlatformError.

    `listen` is a port, or an address and a port, as nginx has it.
    """
    import jinja2

    settings = folder.config.platform.label_studio
    if settings is None:
        raise PlatformError("campaign.toml has no [platform.label_studio]. Add it, with the url of the server.")
    if any(letter in listen for letter in ";{}\n"):
        raise PlatformError(f"'{listen}' is nothing that nginx can listen on. Name a port, or an address and a port.")
    label_studio = _server(settings.url, "[platform.label_studio] url")
    door = names.backend_address(folder)
    game = _server(door, "[platform.label_studio] backend_url", under=True)
    own = {"selectedItems": {"all": False, "included": ["OWN"]}, "ordering": ["tasks:id"]}
    compact = json.dumps(own, separators=(",", ":"))
    pages = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701  # no HTML
    under = urlsplit(door).path.removesuffix(names.DOOR)
    return pages.from_string(Path(__file__).with_name("nginx.conf.j2").read_text(encoding="utf-8")).render(
        campaign=" ".join(folder.config.campaign.name.split()),
        folder=" ".join(str(folder.path).split()),
        url=settings.url,
        listen=listen,
        label_studio=label_studio,
        pass_=f"{label_studio.scheme}://imitable_label_studio",
        game=game,
        may=under + allowing.MAY,
        tabs=under + allowing.TABS,
        secret_header=allowing.SECRET,
        about_header=allowing.ABOUT,
        secret=allowing.secret(folder),
        query=quote(compact, safe="").replace(quote('"OWN"', safe=""), "$imitable_tasks"),
        body=compact.replace('"OWN"', "$imitable_tasks"),
    )


def write_nginx_config(folder: Folder, path: Path, *, listen: str = LISTEN) -> None:
    """Write it to a file, which only its owner may read. Raises PlatformError."""
    text = nginx_config(folder, listen=listen)
    partly = path.with_name(path.name + ".part")
    try:
        partly.unlink(missing_ok=True)
        with os.fdopen(os.open(partly, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        partly.replace(path)
    except OSError as error:
        raise PlatformError(f"{path} cannot be written ({error.strerror}). Choose another file.") from error


def _server(url: str, setting: str, *, under: bool = False) -> _Server:
    parts = urlsplit(url)
    if parts.path.rstrip("/") and not under:
        raise PlatformError(
            f"{setting} = {url} is below a path, where this proxy cannot stand in front of it. Give Label Studio an "
            "address of its own."
        )
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
    return _Server(url, parts.scheme, parts.netloc, f"{host}:{parts.port or {'http': 80, 'https': 443}[parts.scheme]}")
