"""Amounts of money: integers of the smallest unit, with their currency. No float ever holds one."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, Overflow

from imitable.errors import MoneyError

_DIGITS = dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0) | dict.fromkeys(
    ("BHD", "JOD", "KWD", "OMR", "TND"), 3
)
"""Digits after the point, where they are not two (ISO 4217)."""


MOST = 2**31 - 1
"""The largest amount that is kept, in the smallest unit: what a column of every database holds."""


def digits(currency: str) -> int:
    """Digits after the point in this currency."""
    return _DIGITS.get(currency, 2)


@dataclass(frozen=True)
class Money:
    """An amount, which may be negative where it takes something back."""

    minor: int
    """In the smallest unit: cents."""
    currency: str
    """ISO 4217."""

    def __add__(self, other: Money) -> Money:
        """The sum. Raises MoneyError for another currency."""
        if other.currency != self.currency:
            raise MoneyError(
                f"{self} and {other} cannot be added. A campaign pays in one currency: put [pay] currency back."
            )
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        """The difference. Raises MoneyError for another currency."""
        return self + Money(-other.minor, other.currency)

    def __mul__(self, times: int) -> Money:
        """So many of it."""
        return Money(self.minor * times, self.currency)

    def share(self, share: Decimal) -> Money:
        """A share of it, rounded half up to the smallest unit, once."""
        exact = Decimal(self.minor) * share
        return Money(int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP)), self.currency)

    @property
    def decimal(self) -> str:
        """As a decimal number without the currency: "3.00"."""
        after = digits(self.currency)
        return f"{Decimal(self.minor).scaleb(-after):.{after}f}"

    def __str__(self) -> str:
        return f"{self.decimal} {self.currency}"


def read_money(text: str, currency: str) -> Money:
    """Read "3.00". Raises MoneyError for what is no amount of this currency, to the last digit."""
    try:
        minor = Decimal("NaN" if "_" in text else text.strip()).scaleb(digits(currency))  # Python would read 1_0 as ten
    except (InvalidOperation, Overflow):
        minor = Decimal("NaN")
    if not minor.is_finite() or abs(minor) > MOST or minor != minor.to_integral_value():
        raise MoneyError(
            f"'{text}' is not an amount of {currency}. Write it with {digits(currency)} digits after the point, "
            f"such as {Money(300, currency).decimal}."
        )
    return Money(int(minor), currency)


def total(amounts: list[Money], currency: str) -> Money:
    """The sum of many, zero of none. Raises MoneyError for another currency among them."""
    summed = Money(0, currency)
    for one in amounts:
        summed += one
    return summed
