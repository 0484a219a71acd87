"""When Python looks for garbage: not while a function starts, by its own rhythm once it serves.

A start makes a hundred thousand objects, nearly all of which stay: looking for garbage among them is a tenth of it, and
so is each later look unless they are set aside. The few cycles that a start leaves behind are set aside with them.
"""

import gc
import os


def pause() -> None:
    """For the time of a function's start. Whoever else imports this package (settlectl, tests) starts no function, and
    nobody would resume: there nothing is paused."""
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        gc.disable()


def resume() -> None:
    """What the start has made is looked at no more. Nothing, where nothing was paused."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
