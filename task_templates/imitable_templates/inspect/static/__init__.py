"""What the runner's pages load."""
