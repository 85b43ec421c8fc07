"""One function a command: the library twin of the CLI, and the only place that joins rooms."""
