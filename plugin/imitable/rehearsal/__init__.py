"""Local stand-ins of paid platforms, and whole campaigns played by simulated annotators."""
