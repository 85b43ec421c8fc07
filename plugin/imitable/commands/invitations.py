"""What a runner gives to each platform: the address of the task, and the codes that say that it is done."""

from __future__ import annotations

from imitable.campaign import Folder
from imitable.game.finishing import completion_code

_PROLIFIC_IDS = "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"


def invitations(folder: Folder, address: str) -> list[str]:
    """A sentence for each platform that campaign.toml names, with the address at which the game can be reached."""
    base = (folder.config.serve.public_url or address).rstrip("/")
    platforms, said = folder.config.platform, []
    if platforms.prolific is not None:
        done, stopped = (completion_code(folder, stopped=stopped) for stopped in (False, True))
        said += [
            f"Prolific, study URL: {base}/prolific?{_PROLIFIC_IDS}",
            f"Prolific, completion codes: {done} (finished), {stopped} (stopped early, paid pro rata)",
        ]
    if platforms.mturk is not None and platforms.mturk.sites:
        said.append(f"MTurk-style, external URL: {base}/mturk, in frames of {', '.join(platforms.mturk.sites)}")
    return said
