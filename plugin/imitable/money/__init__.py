"""Money: what is owed, what was sent, what came of it. Amounts are integers of a currency's smallest unit."""

from imitable.money.amounts import Money
from imitable.money.ledger import Line, decide, statement
from imitable.money.payer import Answer, Batch, Checking, Held, Payer, Payout, Seen

__all__ = [
    "Answer",
    "Batch",
    "Checking",
    "Held",
    "Line",
    "Money",
    "Payer",
    "Payout",
    "Seen",
    "decide",
    "statement",
]
