"""Package data: a small real language model and real text, so that everything works without a network."""
