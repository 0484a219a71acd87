"""When Python looks for garbage: not while a function starts, by its own rhythm once it serves.

A start makes a hundred thousand objects, nearly all of which stay: looking for garbage among them is a tenth of it, and
so is each later look unless they are set aside. The few cycles that a start leaves behind are set aside with them.

Importing this is the beginning of a start: door.py does so before all else, and nobody imports it who serves nothing.
"""

import gc

gc.disable()


def resume() -> None:
    """The start is over: what it has made is looked at no more. Nothing, where the collector is at work."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
