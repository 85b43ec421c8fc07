"""The command line: parses, reads the environment, prints; nothing else."""

from imitable.cli.app import main

__all__ = ["main"]
