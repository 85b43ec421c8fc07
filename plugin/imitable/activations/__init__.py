"""The only room that touches tensors: corpus to tokens to activations. What leaves it is numpy."""

from imitable.activations.anatomy import mlp_sites
from imitable.activations.capture import Moments, Scan, columns, moments
from imitable.activations.corpus import Text, read_corpus
from imitable.activations.models import Loaded, load_model
from imitable.activations.sites import Site, Tap
from imitable.activations.windows import FOCUS_AFTER, Window, windows

__all__ = [
    "FOCUS_AFTER",
    "Loaded",
    "Moments",
    "Scan",
    "Site",
    "Tap",
    "Text",
    "Window",
    "columns",
    "load_model",
    "mlp_sites",
    "moments",
    "read_corpus",
    "windows",
]
