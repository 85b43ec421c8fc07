"""How a sitting is handed back to the platform that sent its annotator."""

from __future__ import annotations

from typing import Any

from imitable.campaign import Folder
from imitable.game.views import Finish


def finish_of(folder: Folder, sitting: Any) -> Finish | None:
    """What the last page offers: a completion code for Prolific, a form for MTurk-style sites, nothing for links."""
    platforms = folder.config.platform
    if sitting.platform == "prolific" and platforms.prolific is not None:
        code = completion_code(folder, stopped=sitting.ended_by == "stopped")
        return Finish(f"{platforms.prolific.completion_url}?cc={code}", code)
    if sitting.platform == "mturk" and sitting.return_to:
        fields = (("assignmentId", sitting.submission), ("receipt", receipt(folder, sitting.sitting_id)))
        return Finish(f"{sitting.return_to}/mturk/externalSubmit", fields=fields)
    return None


def completion_code(folder: Folder, *, stopped: bool) -> str:
    """The code that says on Prolific that a sitting was finished, or stopped early."""
    config = folder.config.platform.prolific
    named = None if config is None else config.stopped_code if stopped else config.completion_code
    return named or folder.derive("completion", "stopped" if stopped else "finished", size=8).upper()


def receipt(folder: Folder, sitting_id: str) -> str:
    """What only a sitting that came to its end is given, so that a submission without it is known as forged."""
    return folder.derive("receipt", sitting_id, size=32)
