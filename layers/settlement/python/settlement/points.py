"""Points as people read them: a JSON number with at most two decimals, made from whole hundredths."""

from decimal import Decimal

HUNDREDTHS_PER_POINT = 100


def points(hundredths: int) -> Decimal:
    """The exact number of points without trailing zeros: 134 -> 1.34, 130 -> 1.3, 40000 -> 400.

    Built from digits: Decimal's arithmetic rounds to its context's 28 digits, its constructor never rounds.
    """
    whole, rest = divmod(abs(hundredths), HUNDREDTHS_PER_POINT)
    sign = "-" if hundredths < 0 else ""
    decimals = f".{rest:02d}".rstrip("0") if rest else ""
    return Decimal(f"{sign}{whole}{decimals}")
