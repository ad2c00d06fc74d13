"""What a payment's shares should be by the rule, and every way in which rows, ledger or Stripe say otherwise.

Values in, sentences out: an empty list means that all agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from messages.money import Money
from workers.rules import sale_split
from workers.rules.sale_split import RoyaltyTerm


@dataclass(frozen=True, slots=True)
class FrozenLeg:
    """A share as its row has it, amounts in minor units of the payment's currency.

    taken       of refunds and losses, by the row; `told_taken` by what each of them wrote down
    receivable  what could not be taken back and is owed by the recipient
    reached     what transfers brought, less what reversals took: made or under way
    """

    recipient_id: UUID
    basis: str
    basis_points: int | None
    amount: int
    taken: int
    told_taken: int
    receivable: int
    reached: int
    settled: bool


@dataclass(frozen=True, slots=True)
class BookedLeg:
    """What the ledger's journals of the payment did for one party: given to it, taken from it, owed by it."""

    distributed: int
    clawed: int
    receivable: int


@dataclass(frozen=True, slots=True)
class SplitSale:
    """`booked` is by recipient; the venue of the sale keeps its own part where the charge put it, so it has none."""

    captured: Money
    fee: Money
    given_back: int
    venue_id: UUID
    seller_id: UUID
    basis: str
    promised: Sequence[RoyaltyTerm]
    legs: Sequence[FrozenLeg]
    booked: dict[UUID, BookedLeg]


@dataclass(frozen=True, slots=True)
class Difference:
    """What does not agree, in words, and by how many minor units."""

    said: str
    minor: int


def differences(sale: SplitSale) -> list[Difference]:
    """Rule against rows, rows against what was given back, rows against the ledger, and what was settled."""
    return [*_of_the_rule(sale), *_of_returns(sale), *_of_the_ledger(sale), *_of_settling(sale)]


def _of_the_rule(sale: SplitSale) -> list[Difference]:
    try:
        legs = sale_split.legs(sale.captured, sale.fee, sale.promised, seller_id=sale.seller_id, basis=sale.basis)
    except ValueError as error:
        return [Difference(f"the settings of today cut no sale: {error}", 0)]
    expected = {(leg.recipient_id, leg.basis): leg.amount.minor for leg in legs}
    frozen = {(leg.recipient_id, leg.basis): leg.amount for leg in sale.legs}
    return [
        Difference(
            f"{basis} {recipient}: {expected.get((recipient, basis), 'nothing')} by the rule, "
            f"{frozen.get((recipient, basis), 'nothing')} was frozen",
            abs(expected.get((recipient, basis), 0) - frozen.get((recipient, basis), 0)),
        )
        for recipient, basis in sorted(expected.keys() | frozen.keys(), key=str)
        if expected.get((recipient, basis)) != frozen.get((recipient, basis))
    ]


def _of_returns(sale: SplitSale) -> list[Difference]:
    found = [
        Difference(
            f"{leg.basis} {leg.recipient_id}: {leg.taken} was taken back, refunds and losses took {leg.told_taken}",
            abs(leg.taken - leg.told_taken),
        )
        for leg in sale.legs
        if leg.taken != leg.told_taken
    ]
    taken = sum(leg.taken for leg in sale.legs)
    if taken != sale.given_back:
        said = f"{sale.given_back} went back to the buyer from all but the platform, the shares gave {taken}"
        found.append(Difference(said, abs(taken - sale.given_back)))
    return found


def _of_the_ledger(sale: SplitSale) -> list[Difference]:
    found = []
    for recipient in sorted({leg.recipient_id for leg in sale.legs} - {sale.venue_id}):
        own = [leg for leg in sale.legs if leg.recipient_id == recipient]
        booked = sale.booked.get(recipient, BookedLeg(0, 0, 0))
        for what, row, ledger in (
            ("is to get", sum(leg.amount for leg in own), booked.distributed),
            ("gave back", sum(leg.taken for leg in own), booked.clawed),
            ("owes", sum(leg.receivable for leg in own), booked.receivable),
        ):
            if row != ledger:
                found.append(
                    Difference(f"{recipient} {what} {row} by its shares, {ledger} by the ledger", abs(row - ledger))
                )
    return found


def _of_settling(sale: SplitSale) -> list[Difference]:
    return [
        Difference(
            f"{leg.basis} {leg.recipient_id} is settled, but it should have {leg.amount - leg.taken} and "
            f"{leg.reached - leg.receivable} reached it",
            abs(leg.amount - leg.taken - leg.reached + leg.receivable),
        )
        for leg in sale.legs
        if leg.settled and leg.amount - leg.taken != leg.reached - leg.receivable
    ]


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """A transfer as one side has it; `back` is what reversals took of it."""

    amount: Money
    account_id: str
    back: int


def of_transfer(
    at_stripe: TransferRecord, in_book: TransferRecord | None, *, journal_minor: int, line_minor: int, netted_minor: int
) -> list[Difference]:
    """Stripe's transfer against its row, the row's lines and its journal."""
    if in_book is None:
        return [
            Difference(f"Stripe sent {at_stripe.amount}, and the book knows no such transfer", at_stripe.amount.minor)
        ]
    found = []
    if (at_stripe.amount, at_stripe.account_id) != (in_book.amount, in_book.account_id):
        found.append(
            Difference(
                f"Stripe sent {at_stripe.amount} to {at_stripe.account_id}, the book {in_book.amount} to "
                f"{in_book.account_id}",
                abs(at_stripe.amount.minor - in_book.amount.minor),
            )
        )
    if at_stripe.back != in_book.back:
        said = f"of it {at_stripe.back} came back at Stripe, {in_book.back} by the book"
        found.append(Difference(said, abs(at_stripe.back - in_book.back)))
    if -journal_minor != in_book.amount.minor:
        said = f"its journal moved {-journal_minor}, its row {in_book.amount.minor}"
        found.append(Difference(said, abs(journal_minor + in_book.amount.minor)))
    if line_minor != in_book.amount.minor + netted_minor:
        said = f"its lines pay {line_minor}, it sent {in_book.amount.minor} and netted {netted_minor}"
        found.append(Difference(said, abs(line_minor - in_book.amount.minor - netted_minor)))
    return found
