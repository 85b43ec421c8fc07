"""`imitable label-studio`: a server for trying out, and the doctor."""

from __future__ import annotations

from imitable.rehearsal.label_studio import Server, down, up

__all__ = ["Server", "down", "up"]
