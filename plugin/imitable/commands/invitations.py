"""What a runner gives to people and platforms: links, the address of the task, the codes that say that it is done."""

from __future__ import annotations

import csv

from imitable.campaign import Folder
from imitable.game.finishing import completion_code
from imitable.game.hosts import prolific_address
from imitable.platforms.label_studio.desks import FILE


def invitations(folder: Folder, address: str) -> list[str]:
    """A sentence for each platform that campaign.toml names, with the address at which the game can be reached."""
    base = (folder.config.serve.public_url or address).rstrip("/")
    platforms, said = folder.config.platform, list[str]()
    if platforms.web.open:
        said.append(f"Anyone may play, unpaid, at {base}/")
    if platforms.prolific is not None:
        done, stopped = (completion_code(folder, stopped=stopped) for stopped in (False, True))
        said += [
            f"Prolific, study URL: {prolific_address(base)}",
            f"Prolific, completion codes: {done} (finished), {stopped} (stopped early, paid pro rata)",
        ]
    if platforms.label_studio is not None and (folder.path / FILE).exists():
        said.append(f"Label Studio: each annotator's address is in {folder.path / FILE}.")
    elif platforms.label_studio is not None:
        said.append(
            f"Label Studio: let this run, and beside it: imitable publish {folder.path} --platform label-studio"
        )
    if platforms.mturk is not None and not platforms.mturk.sites:
        said.append("MTurk-style: nobody can come before [platform.mturk] worker_sites names a site.")
    elif platforms.mturk is not None:
        said.append(f"MTurk-style, external URL: {base}/mturk, in frames of {', '.join(platforms.mturk.sites)}")
    return said


def about_links(folder: Folder, address: str) -> list[str]:
    """Where the personal links are, and whether they lead to another address than the game's; empty without any."""
    path = folder.path / "links.csv"
    if not path.exists():
        return []
    said = [f"Personal links are in {path}."]
    with path.open(encoding="utf-8", newline="") as file:
        url = next((row["url"] for row in csv.DictReader(file)), "")
    public = folder.config.serve.public_url
    base = (public or address).rstrip("/")
    if url and not url.startswith(f"{base}/j/"):
        anew = f", as [serve] public_url says: imitable publish {folder.path} writes them anew" if public else ""
        said.append(f"They start with {url.rpartition('/j/')[0]}; the game is at {base}{anew}.")
    return said
