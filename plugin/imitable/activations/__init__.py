"""The only room that touches tensors: corpus to tokens to activations. What leaves it is numpy."""

from imitable.activations.anatomy import Anatomy, mlp_sites, neuron_site, study
from imitable.activations.corpus import Fingerprint, Text, held_out_corpus, read_corpus, stream_corpus
from imitable.activations.cutting import cut, window_again
from imitable.activations.embedding import Embedder
from imitable.activations.finding import find_sites
from imitable.activations.model_source import file_hashes, locate
from imitable.activations.models import Loaded, load_model, scan_dtype
from imitable.activations.moments import Moments, merged
from imitable.activations.running import Work
from imitable.activations.shards import Shard, joined, save_arrays
from imitable.activations.sites import Coordinates, Site, Tap
from imitable.activations.together import Together, correlations
from imitable.activations.windows import FOCUS_AFTER, Window, special_tokens, windows
from imitable.activations.wiring import Joins, Wiring, strength
from imitable.activations.workers import RayWorkers, Threads, Workers

__all__ = [
    "FOCUS_AFTER",
    "Anatomy",
    "Coordinates",
    "Embedder",
    "Fingerprint",
    "Joins",
    "Loaded",
    "Moments",
    "RayWorkers",
    "Shard",
    "Site",
    "Tap",
    "Text",
    "Threads",
    "Together",
    "Window",
    "Wiring",
    "Work",
    "Workers",
    "correlations",
    "cut",
    "file_hashes",
    "find_sites",
    "held_out_corpus",
    "joined",
    "load_model",
    "locate",
    "merged",
    "mlp_sites",
    "neuron_site",
    "read_corpus",
    "save_arrays",
    "scan_dtype",
    "special_tokens",
    "stream_corpus",
    "strength",
    "study",
    "window_again",
    "windows",
]
