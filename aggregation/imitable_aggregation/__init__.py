"""From guesses to rankings: everything that a researcher with a CSV needs, without torch, platform or web."""
