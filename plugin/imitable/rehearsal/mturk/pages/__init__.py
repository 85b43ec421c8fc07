"""Templates and styles of the worker site."""
