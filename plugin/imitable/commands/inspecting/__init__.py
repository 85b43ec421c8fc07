"""What `imitable inspect` serves: the records of a build, read one target at a time, as pages for the runner."""

from imitable.commands.inspecting.door import inspector
from imitable.commands.inspecting.records import Records

__all__ = ["Records", "inspector"]
