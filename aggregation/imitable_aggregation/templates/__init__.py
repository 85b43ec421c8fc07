"""The report's template, read through importlib.resources."""
