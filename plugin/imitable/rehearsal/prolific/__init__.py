"""A stand-in for Prolific, for tests and rehearsals: a process on loopback that speaks its documented REST API v1.

No money is real and nobody is there: its root page, its headers (`X-Stand-In`), its first line and all of its ids say
so. It is built from Prolific's published API description; where that leaves something open, the module that decides
says what was guessed. It proves that a campaign does what the documents ask for, not that Prolific does what they say.
"""

from imitable.rehearsal.faults import Fault
from imitable.rehearsal.prolific.process import TOKEN, StandIn, standing_in

__all__ = ["TOKEN", "Fault", "StandIn", "standing_in"]
