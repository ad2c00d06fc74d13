"""Journals that follow from a balance transaction, whatever it was for: the conversion, and what Stripe kept."""

from db.ledger import journals as ledger
from db.ledger.journals import Journal
from messages.money import Money
from stripe_client.outcomes import BalanceTransaction


def conversion_and_fee(balance: BalanceTransaction | None, moved: Money) -> list[Journal]:
    """Both, as far as there are any; none while Stripe shows no balance. `moved` is signed as at the bank."""
    return [*conversion(balance, moved), *stripe_fee(balance)] if balance else []


def conversion(balance: BalanceTransaction, moved: Money) -> list[Journal]:
    """One journal when the balance is kept in another currency than `moved`, signed as at the bank; else none."""
    if balance.amount.currency == moved.currency:
        return []
    entries = ledger.conversion_entries(moved, balance.amount)
    return [Journal("conversion", balance.balance_transaction_id, entries)]


def stripe_fee(balance: BalanceTransaction) -> list[Journal]:
    """One journal when Stripe kept something; else none."""
    if not balance.fee.minor:
        return []
    return [Journal("stripe_fee", balance.balance_transaction_id, ledger.stripe_fee_entries(balance.fee))]
