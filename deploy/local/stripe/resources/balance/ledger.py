"""The ledger: every movement of money is a balance transaction, net = amount - fee, and the balance is their sum.

`totals` is kept beside the rows; `invariants.py` compares the two, so that a write that does not come from here is
noticed. Money that arrives schedules `funds_available` for the second in which it becomes available (`tasks.py`).
Source: docs.stripe.com/reports/balance-transaction-types and docs.stripe.com/api/balance_transactions.
"""

from ...state.store import Record
from ...wire.errors import Json
from ...world import World
from .amounts import processing_fee

APPLICATION = "ca_EmulatorPlatform"  # what the platform is called where it takes its part


def book_charge(
    world: World, charge: Record, amount_minor: int, available_at_once: bool, application_fee_minor: int = 0
) -> Json:
    """Book a captured charge: the whole captured amount, less the processing fee and the platform's."""
    settings = world.settings
    fee = processing_fee(amount_minor, settings.fee_basis_points, settings.fee_fixed_minor)
    now = world.clock.now()
    kind = "charge" if charge.id.startswith("ch_") else "payment"
    return book(
        world,
        account=charge.account,
        kind=kind,
        reporting_category="charge",
        source=charge.id,
        amount_minor=amount_minor,
        fee_minor=fee,
        application_fee_minor=application_fee_minor,
        currency=charge.body["currency"],
        available_on=now if available_at_once else now + settings.funds_delay_seconds,
        description=charge.body["description"],
    )


def book(
    world: World,
    *,
    account: str,
    kind: str,
    reporting_category: str,
    source: str | None,
    amount_minor: int,
    fee_minor: int,
    currency: str,
    available_on: int,
    description: str | None = None,
    fee_words: str = "Stripe processing fees",
    application_fee_minor: int = 0,
) -> Json:
    """Write one balance transaction and return it.

    `kind` is its `type`, `source` the id of the object that moved the money; `amount_minor` is signed (negative leaves
    the balance), fees are positive and taken off it. `available_on` is in seconds since 1970.
    """
    fees = {"stripe_fee": (fee_minor, fee_words), "application_fee": (application_fee_minor, "Application fee")}
    fee_details = [_fee(kind, amount, currency, words) for kind, (amount, words) in fees.items() if amount]
    fee_minor += application_fee_minor
    body: Json = {
        "id": world.identifiers.new("txn"),
        "object": "balance_transaction",
        "amount": amount_minor,
        "available_on": available_on,
        "balance_type": "payments",
        "created": world.clock.now(),
        "currency": currency,
        "description": description,
        "exchange_rate": None,
        "fee": fee_minor,
        "fee_details": fee_details,
        "net": amount_minor - fee_minor,
        "reporting_category": reporting_category,
        "source": source,
        "status": "pending",
        "type": kind,
    }
    world.insert(account, "balance_transaction", body)
    _move(world, account, currency, available_on, body["net"])
    if body["net"] > 0:
        _announce(world, account, available_on)
    return body


def _fee(kind: str, fee_minor: int, currency: str, words: str) -> Json:
    return {
        "amount": fee_minor,
        "application": APPLICATION if kind == "application_fee" else None,
        "currency": currency,
        "description": words,
        "type": kind,
    }


def _move(world: World, account: str, currency: str, available_on: int, net: int) -> None:
    world.store.execute(
        "INSERT INTO movements (account, currency, available_on, net) VALUES (?, ?, ?, ?)",
        (account, currency, available_on, net),
    )
    world.store.execute(
        "INSERT INTO totals (account, currency, net) VALUES (?, ?, ?)"
        " ON CONFLICT (account, currency) DO UPDATE SET net = net + excluded.net",
        (account, currency, net),
    )


def _announce(world: World, account: str, available_on: int) -> None:
    """One task for all money of an account that becomes available in the same second."""
    known = world.store.execute(
        "SELECT 1 FROM tasks WHERE due_at = ? AND kind = 'funds_available' AND account = ?", (available_on, account)
    ).fetchone()
    if known is None:
        world.schedule.add_at("funds_available", available_on, account, account)


def available(world: World, account: str, currency: str, moment: int | None = None) -> int:
    """What a refund or a payout may take now; below zero when refunds and disputes have taken more than there was.

    With a `moment` to come: what will be available then, if nothing else happens.
    """
    row = world.store.execute(
        "SELECT COALESCE(SUM(net), 0) FROM movements WHERE account = ? AND currency = ? AND available_on <= ?",
        (account, currency, world.clock.now() if moment is None else moment),
    ).fetchone()
    amount: int = row[0]
    return amount


def current(world: World, account: str) -> Json:
    """The balance object of an account, as of now."""
    rows = world.store.execute(
        "SELECT currency, SUM(CASE WHEN available_on <= ? THEN net ELSE 0 END), SUM(net)"
        " FROM movements WHERE account = ? GROUP BY currency ORDER BY currency",
        (world.clock.now(), account),
    ).fetchall()
    sums = rows or [("usd", 0, 0)]
    return {
        "object": "balance",
        "available": [_amount(currency, available) for currency, available, _ in sums],
        "livemode": False,
        "pending": [_amount(currency, whole - available) for currency, available, whole in sums],
    }


def _amount(currency: str, amount_minor: int) -> Json:
    return {"amount": amount_minor, "currency": currency, "source_types": {"card": amount_minor}}


def by_clock(world: World, body: Json) -> Json:
    """Whether the money is available is a question to the clock, not a field that somebody must remember to change."""
    body["status"] = "available" if body["available_on"] <= world.clock.now() else "pending"
    return body
