"""A sale with shares, and a little fleet that works off whatever the outbox holds: what tests of shares begin with."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg

from db.payments.payments import Payment
from db.session import Database
from db.shares import shares
from db.shares.shares import Share
from db.shares.states import ShareState
from db.tenants.tenants import Tenant
from deploy.local.stripe.control import EmulatorControl
from messages.ids import RecipientId
from messages.money import Money
from messages.queues import kind_to_message
from messages.verdicts import TryAgain
from stripe_client.gateway import Gateway
from tests import factories
from tests.workers.refunds.scenario import asked, charged
from workers import main
from workers.runtime.actor import ACTORS

assert main  # every actor is registered
OF_SHARES = ("share", "transfer", "transfer_reversal", "refund")


@dataclass(frozen=True)
class Market:
    """A tenant whose venue and artist have accounts at Stripe; the artist gets `points` of what buyers pay."""

    db: Database
    owner: psycopg.Connection
    gateway: Gateway
    control: EmulatorControl
    tenant: Tenant
    venue_account: str
    artist: RecipientId
    artist_account: str

    def account(self, **wishes: Any) -> str:
        return str(self.control.account(**wishes)["id"])

    def sell(self, **order: Any) -> Payment:
        return charged(self.db, self.gateway, self.tenant, **order)

    def give_back(self, payment: Payment, minor: int | None = None) -> None:
        asked(self.db, payment, minor)
        self.work()

    def work(self, *, rounds: int = 30) -> None:
        """Do what waits in the outbox of shares and refunds, until nothing is due."""
        for _ in range(rounds):
            rows = self.owner.execute(
                "DELETE FROM outbox WHERE kind = ANY (%s) AND due_at <= clock_timestamp() RETURNING id, kind, body",
                [list(OF_SHARES)],
            ).fetchall()
            if not rows:
                return
            for _id, kind, body in sorted(rows):
                self.deliver(kind, orjson.loads(body)["kwargs"]["payload"])
        raise AssertionError("the shares never come to rest")

    def deliver(self, kind: str, payload: dict[str, Any]) -> None:
        message = kind_to_message()[kind].model_validate(payload)
        for _ in range(5):
            try:
                ACTORS[kind].handler(message, self.db, self.gateway)
            except TryAgain:
                continue
            return
        raise AssertionError(f"{kind} asks to be tried again and again")

    def shares(self, payment: Payment) -> dict[UUID, Share]:
        with self.db.transaction(payment.tenant_id) as tx:
            return {share.recipient_id: share for share in shares.of_payment(tx, payment.payment_id)}

    def states(self, payment: Payment) -> set[ShareState]:
        return {share.state for share in self.shares(payment).values()}

    def at_stripe(self, account: str) -> int:
        """What lies in a connected account, pending or available."""
        answer = self.gateway.send("get", "/v1/balance", {}, account_id=account).data
        return sum(one["amount"] for kind in ("available", "pending") for one in answer[kind])

    def made(self, kind: str) -> list[int]:
        """Amounts of the effects that the bank's recorder saw."""
        return [effect["amount"] for effect in self.control.effects() if effect["kind"] == kind]

    def ledger(self) -> dict[str, int]:
        rows = self.owner.execute(
            "SELECT code || coalesce(':' || r.kind, ''), sum(amount_minor)::bigint "
            "FROM ledger_entries JOIN ledger_accounts a USING (tenant_id, account_id) "
            "LEFT JOIN recipients r ON (r.tenant_id, r.recipient_id) = (a.tenant_id, a.recipient_id) GROUP BY 1"
        )
        return dict(rows.fetchall())


def market(
    db: Database, owner: psycopg.Connection, gateway: Gateway, control: EmulatorControl, *, points: int = 1000
) -> Market:
    tenant = factories.tenant(owner)
    venue, artist = tenant.venues[0].venue_id, RecipientId(uuid4())
    accounts = [str(control.account()["id"]) for _ in range(2)]
    owner.execute("UPDATE recipients SET account_id = %s WHERE recipient_id = %s", [accounts[0], venue])
    owner.execute(
        "INSERT INTO recipients (tenant_id, recipient_id, kind, name, account_id, currency) "
        "VALUES (%s, %s, 'artist', 'The Band', %s, 'eur')",
        [tenant.tenant_id, artist, accounts[1]],
    )
    for sale in ("primary", "resale"):
        royalty(owner, tenant, artist, points, sale=sale)
    return Market(db, owner, gateway, control, tenant, accounts[0], artist, accounts[1])


def royalty(owner: psycopg.Connection, tenant: Tenant, recipient: UUID, points: int, **changes: Any) -> None:
    setting = {
        "tenant_id": tenant.tenant_id,
        "venue_id": tenant.venues[0].venue_id,
        "event_id": None,
        "sale": "primary",
        "recipient_id": recipient,
        "basis_points": points,
        "valid_from": "-infinity",
        "valid_until": "infinity",
    } | changes
    owner.execute(
        "INSERT INTO royalty_settings (tenant_id, venue_id, event_id, sale, recipient_id, basis_points, valid_from, "
        "valid_until) VALUES (%(tenant_id)s, %(venue_id)s, %(event_id)s, %(sale)s, %(recipient_id)s, %(basis_points)s, "
        "%(valid_from)s, %(valid_until)s)",
        setting,
    )


def euros(minor: int) -> Money:
    return Money(minor, "eur")


def today() -> datetime:
    return datetime.now(UTC)
