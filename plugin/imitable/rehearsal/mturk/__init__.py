"""A stand-in for Amazon Mechanical Turk, for tests and rehearsals: a process on loopback that speaks its wire protocol.

The service closed on 2026-09-30. No money is real and nobody is there: its root page, its headers (`X-Stand-In`), its
first line, its worker site and all of its ids say so. It is built from botocore's description of the API and from what
others saw of the live service; where both leave something open, the module that decides says what was guessed.
"""

from imitable.rehearsal.faults import Fault
from imitable.rehearsal.mturk.process import KEY, SECRET, StandIn, standing_in

__all__ = ["KEY", "SECRET", "Fault", "StandIn", "standing_in"]
