"""What can be imitated: kinds of targets, their ids, and the files that describe directions, probes and SAEs."""

from imitable.targets.ids import Kind, Polarity, TargetId, kind_of_site
from imitable.targets.sae_files import Architecture as SaeArchitecture
from imitable.targets.sae_files import Normalization as SaeNormalization
from imitable.targets.sae_files import SaeFile, read_decoder, read_sae
from imitable.targets.tensors import Floats
from imitable.targets.vectors import Vectors, read_vectors, write_vectors

__all__ = [
    "Floats",
    "Kind",
    "Polarity",
    "SaeArchitecture",
    "SaeFile",
    "SaeNormalization",
    "TargetId",
    "Vectors",
    "kind_of_site",
    "read_decoder",
    "read_sae",
    "read_vectors",
    "write_vectors",
]
