"""Which units to play: methods that rank candidates by what their activations look like."""

from imitable.selection.lexical import Tables
from imitable.selection.methods import Candidate, Look, Method, find_method, ranked

__all__ = ["Candidate", "Look", "Method", "Tables", "find_method", "ranked"]
