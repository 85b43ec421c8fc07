"""What can be imitated: kinds of targets and their ids."""

from imitable.targets.ids import Kind, Polarity, TargetId, kind_of_site

__all__ = ["Kind", "Polarity", "TargetId", "kind_of_site"]
