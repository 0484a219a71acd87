"""The floor: nothing but the standard library."""

from by_hand import handler

__all__ = ["handler"]
