"""Which units to play: methods that rank candidates by what their activations look like."""

from imitable.selection.methods import Candidate, Method, find_method, ranked

__all__ = ["Candidate", "Method", "find_method", "ranked"]
