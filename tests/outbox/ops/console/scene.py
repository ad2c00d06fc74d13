"""A fleet in the middle of an ordinary bad day: three tenants, a sale, an outage at Stripe, and what it left behind."""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from db.dead_letters import dead_letters
from db.dead_letters.dead_letters import DeadLetter
from db.disputes import booking as dispute_booking
from db.disputes import disputes, fraud_warnings
from db.disputes.booking import BookableMovement
from db.disputes.fraud_warnings import EarlyWarning
from db.disputes.states import DisputeStatus
from db.ledger import journals as ledger
from db.ledger.journals import Journal
from db.payments import charges, payments
from db.payments.payments import Payment, PaymentAttempt
from db.queue import failed_runs
from db.queue.failed_runs import FailedRun
from db.reconciliation import case_views, cases
from db.reconciliation.cases import CaseType
from db.session import Database
from db.tenants.tenants import Tenant, Venue, register
from messages.fees import FeePlan
from messages.ids import TenantId, VenueId
from messages.money import Money
from messages.payments import ChargeRequested
from outbox.append import append
from outbox.requests import dispute_evidence
from outbox.sealing import Sealer, SealSettings
from tests import factories

TRACEBACK = """Traceback (most recent call last):
  File "workers/payments/charge.py", line 61, in charge
    outcome = payment_intents.create(stripe, payment, fee, call)
  File "stripe_client/payment_intents.py", line 88, in create
    answer = gateway.post("/v1/payment_intents", body, key=call.idempotency_key)
  File "stripe_client/gateway.py", line 142, in post
    raise TryAgain(f"Stripe answered {status}")
messages.verdicts.TryAgain: Stripe answered 503"""

_ENDS = ["succeeded"] * 24 + ["failed"] * 3 + ["requires_action", "authorized", "processing", "charging", "requested"]


@dataclass
class Scene:
    db: Database
    owner: psycopg.Connection
    seal_public_key: str
    tenants: list[Tenant]

    @classmethod
    def set(cls, db: Database, owner: psycopg.Connection, seal_public_key: str) -> "Scene":
        scene = cls(db, owner, seal_public_key, [])
        for name, currency in (("Rhine Arena", "eur"), ("Harbour Hall", "gbp"), ("Shibuya Dome", "jpy")):
            venue = Venue(VenueId(uuid4()), "Great Hall", currency, FeePlan(500, 50, currency))
            scene.tenants.append(Tenant(TenantId(uuid4()), name, (venue,)))
        register(owner, scene.tenants)
        return scene

    def requested(self, tenant: int = 0, **changes: Any) -> Payment:
        """A payment whose charge message has left the outbox."""
        payment = factories.requested(self.db, self.tenants[tenant], **changes)
        self.owner.execute("DELETE FROM outbox WHERE ordering_key = %s", [payment.payment_id])
        return payment

    def disputed(self, *, hours_left: float = 30, inquiry: bool = False) -> str:
        """A charged payment that a bank disputes, with the draft that the fleet assembles; returns the dispute's id."""
        payment, dispute_id = self.requested(0, amount_minor=4200), f"dp_{uuid4().hex[:24]}"
        intent, charge, now = f"pi_{uuid4().hex[:24]}", f"ch_{uuid4().hex[:24]}", datetime.now(UTC)
        status = DisputeStatus.WARNING_NEEDS_RESPONSE if inquiry else DisputeStatus.NEEDS_RESPONSE
        due, card = now + timedelta(hours=hours_left), {"cvc_check": "pass", "risk_level": "normal"}
        seen = disputes.DisputeSnapshot(
            dispute_id, charge, payment.amount, "product_not_received", status, due, card, now
        )
        with self.db.transaction(payment.tenant_id) as tx:
            payments.begin_charging(tx, payment.payment_id, platform_fee_minor=260, by="charge")
            attempt = PaymentAttempt(None, "charged")
            payments.mark_succeeded(tx, payment, intent_id=intent, platform_fee_minor=260, attempt=attempt, by="charge")
            charges.record(tx, payment, charge_id=charge, intent_id=intent, amount_minor=4200)
            disputes.record(
                tx,
                payment.payment_id,
                seen,
                stage="inquiry" if inquiry else "chargeback",
                submitted=False,
                by="webhook",
            )
            found = disputes.get(tx, dispute_id)
            assert found is not None
            disputes.write_evidence(tx, dispute_id, dispute_evidence.draft(tx, found).evidence, by="fleet")
            if not inquiry:
                taken = BookableMovement(
                    f"txn_{uuid4().hex[:24]}", "dispute", -payment.amount, -payment.amount, Money(1500, "eur")
                )
                dispute_booking.record(tx, dispute_id, taken)
            warned = (
                payment.payment_id,
                charge,
                "made_with_stolen_card",
                False,
                "leave",
                "the venue's policy",
                None,
                now,
            )
            fraud_warnings.record(tx, EarlyWarning(f"issfr_{uuid4().hex[:20]}", *warned))
        return dispute_id

    def sale(self, payments: int) -> None:
        """Payments in all states, accepted over the last half hour."""
        dice = random.Random(7)  # noqa: S311  a story, not a secret
        for number in range(payments):
            payment = self.requested(number % 3, amount_minor=dice.choice([4200, 8400, 12600, 25000]))
            self._end(payment, dice.choice(_ENDS), minutes_ago=29 * (1 - (number / payments) ** 0.7), dice=dice)

    def _end(self, payment: Payment, state: str, *, minutes_ago: float, dice: random.Random) -> None:
        """Straight into the tables, as their owner: times lie in the past, which no code of ours could do."""
        steps = [] if state == "requested" else ["charging"] if state == "charging" else ["charging", state]
        for step in steps:
            intent = f"pi_{uuid4().hex[:24]}" if step != "charging" else None
            self.owner.execute(
                "UPDATE payments SET state = %s, platform_fee_minor = 260, payment_intent_id = %s, state_by = 'charge',"
                " state_reason = %s WHERE payment_id = %s",
                [step, intent, "insufficient_funds" if step == "failed" else None, payment.payment_id],
            )
        accepted = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        self.owner.execute("ALTER TABLE payment_history DISABLE TRIGGER payment_history_is_append_only")
        pause = timedelta(seconds=0.8 + dice.random() * dice.choice([0.6, 0.6, 0.6, 4.0]))
        self.owner.execute(
            "UPDATE payment_history SET at = %s + (seq - 1) * %s WHERE payment_id = %s",
            [accepted, pause, payment.payment_id],
        )
        self.owner.execute("ALTER TABLE payment_history ENABLE TRIGGER payment_history_is_append_only")
        self.owner.execute(
            "UPDATE payments SET created_at = %s, state_since = %s WHERE payment_id = %s",
            [accepted, accepted + pause * len(steps), payment.payment_id],
        )

    def dead_charge(self, tenant: int = 0, *, with_history: bool = False, **changes: Any) -> UUID:
        """A charge that used up its tries while Stripe was away; its payment still waits."""
        amount = changes.pop("amount_minor", 4200)
        payment = self.requested(tenant, amount_minor=amount)
        message = ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id)
        body = json.dumps(message.model_dump(mode="json"))
        message_id = uuid4()
        if with_history:
            self._failed_runs(payment, message_id)
        return self.bury(
            source="worker",
            reason="12 tries used up, the last failed with: Stripe answered 503",
            payload=body,
            original=body.encode(),
            tenant_id=payment.tenant_id,
            message_id=str(message_id),
            kind="charge",
            queue="charges",
            payment_id=payment.payment_id,
            cause="tries_used_up",
            error_class="TryAgain",
            top_frame="stripe_client/gateway.py:post",
            trace_id=uuid4().hex,
            headers={"attempt": 12, "run": 12},
            **changes,
        )

    def bury(self, **fields: Any) -> UUID:
        sealer = Sealer(SealSettings(app_env="test", dead_letter_public_key=self.seal_public_key))  # type: ignore[arg-type]
        fields = {"sealed": sealer.seal(fields["original"])} | fields
        died = fields.pop("died_at", None)
        with self.db.system_transaction() as tx:
            assert dead_letters.bury(tx, DeadLetter(**fields))
            row = tx.execute("SELECT dead_letter_id FROM dead_letters ORDER BY died_at DESC LIMIT 1").fetchone()
        assert row is not None
        if died is not None:
            self.owner.execute("UPDATE dead_letters SET died_at = %s WHERE dead_letter_id = %s", [died, row[0]])
        letter: UUID = row[0]
        return letter

    def _failed_runs(self, payment: Payment, message_id: UUID) -> None:
        for run in (1, 2, 3):
            last = run == 3
            with self.db.system_transaction() as tx:
                failed_runs.record(
                    tx,
                    FailedRun(
                        tenant_id=payment.tenant_id,
                        message_id=message_id,
                        run=run,
                        attempt=run,
                        kind="charge",
                        payment_id=payment.payment_id,
                        verdict="give_up" if last else "try_again",
                        error_class="TryAgain",
                        reason="Stripe answered 503",
                        next_due_at=None if last else datetime.now(UTC) + timedelta(seconds=2**run),
                        traceback=TRACEBACK,
                    ),
                )

    def aftermath(self) -> None:
        """Dead letters of several causes, some old, and messages that still wait."""
        now = datetime.now(UTC)
        for number in range(14):
            self.dead_charge(number % 3, with_history=number % 4 == 0, died_at=now - timedelta(minutes=3 + number))
        for number in range(5):
            self.bury(
                source="orders",
                reason="the total of 4200 is not what its 2 tickets add up to (8400)",
                payload=json.dumps({"type": "order.placed", "data": {"email": "[redacted]", "amount_minor": 4200}}),
                original=f"order-{number}".encode(),
                kind="order.placed",
                cause="refused",
                error_class="OrderRefused",
                top_frame="outbox/intake/accept.py:check",
                tenant_id=self.tenants[1].tenant_id,
                message_id=str(uuid4()),
                died_at=now - timedelta(hours=5 + number),
            )
        self.bury(
            source="broker",
            reason="it killed its worker 20 times (delivery limit); no handler ever finished it",
            payload="\\x80\\x02 not readable",
            original=b"\x80\x02 not readable",
            cause="killed_worker",
            queue="webhooks",
            headers={"x-death": [{"queue": "webhooks", "reason": "delivery_limit", "count": 1}]},
            died_at=now - timedelta(days=2),
        )
        payment = self.requested(0)
        with self.db.transaction(payment.tenant_id) as tx:
            message = ChargeRequested(tenant_id=payment.tenant_id, payment_id=payment.payment_id)
            append(tx, message, not_before=now + timedelta(minutes=4))
            append(tx, message)

    def differences(self) -> UUID:
        """Two days of comparisons, a morning in which webhooks were lost, and cases of several kinds; one of them."""
        now = datetime.now(UTC)
        self.owner.execute(
            "INSERT INTO reconciliation_runs (span, state, window_from, window_until, searched_until, lines,"
            " mismatches, cases_opened, cases_closed, started_at, finished_at) "
            "SELECT CASE WHEN n % 4 = 0 THEN 'daily' ELSE 'rolling' END, 'done', t - interval '2 hours', t, t,"
            " 4000 + n, n % 3, n % 2, n % 3, t, t + interval '7 seconds' "
            "FROM (SELECT n, now() - n * interval '5 minutes' FROM generate_series(1, 8) AS n) AS x (n, t)"
        )
        self.owner.execute(
            "INSERT INTO event_coverage (hour, by_webhook, only_by_sweep) "
            "SELECT date_trunc('hour', now()) - n * interval '1 hour', 1200 + 7 * n, CASE n WHEN 3 THEN 411 ELSE 0 END "
            "FROM generate_series(0, 9) AS n"
        )
        self.owner.execute("INSERT INTO event_sweep (swept_until) VALUES (%s)", [now - timedelta(seconds=70)])
        payment = self.requested(0)
        with self.db.transaction(payment.tenant_id) as tx:
            entries = ledger.charge_entries(payment.amount, Money(260, "eur"), payment.venue_id)
            ledger.post(tx, payment.payment_id, [Journal("charge", "ch_1", entries)])
        bank = "Stripe moved 40.48 EUR (charge of ch_1); the ledger has"
        found = [
            (CaseType.UNKNOWN_TENANT, "txn_3QdoorSale", f"{bank} no entry for it", 4048),
            (CaseType.REFUND_FAILED, "re_3QbankSaidNo", "the bank sent 42.00 EUR back: account closed", 4200),
            (CaseType.AMOUNT_DIFFERS, "txn_3QtwoCentsOff", f"{bank} 40.46 EUR", 2),
        ]
        with self.db.system_transaction() as tx:
            for type_, subject, details, minor in found:
                known = type_ is not CaseType.UNKNOWN_TENANT
                cases.open_case(
                    tx,
                    type=type_,
                    subject=subject,
                    details=details,
                    amount=Money(minor, "eur"),
                    tenant_id=payment.tenant_id if known else None,
                    payment_id=payment.payment_id if known else None,
                    auto_fix_after_seconds=600 if known else None,
                )
        with self.db.ops_transaction() as tx:
            return case_views.find(tx)[0].case_id
