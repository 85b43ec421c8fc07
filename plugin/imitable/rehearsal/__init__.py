"""Whole campaigns played by simulated annotators."""

from imitable.rehearsal.crowd import CrowdPlayed, play_links

__all__ = ["CrowdPlayed", "play_links"]
