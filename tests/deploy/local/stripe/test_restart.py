"""kill -9 and start again: nothing that was answered is lost, nothing is done twice."""

from pathlib import Path
from threading import Event, Thread

import pytest
import stripe

from deploy.local.stripe.process import EmulatorProcess

PAYMENT = {
    "amount": 1000,
    "currency": "usd",
    "payment_method": "pm_card_visa",
    "confirm": True,
    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
}
WEBHOOK = ("--webhook-endpoint", "http://127.0.0.1:1/nobody", "--webhook-secret", "whsec_known")
CONNECT = ("--connect-webhook-endpoint", "http://127.0.0.1:1/nobody", "--connect-webhook-secret", "whsec_connect")


def _client(emulator: EmulatorProcess) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_x", base_addresses={"api": emulator.base_url})


def _pay_until_dead(emulator: EmulatorProcess, answered: dict[str, str], dead: Event) -> None:
    client = _client(emulator)
    for number in range(10_000):
        key = f"order-{number}"
        try:
            answered[key] = client.v1.payment_intents.create(params=PAYMENT, options={"idempotency_key": key}).id
        except stripe.APIConnectionError:
            dead.set()
            return


def test_a_kill_in_full_flight_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    database, answered, dead = tmp_path / "stripe.sqlite3", {}, Event()
    first = EmulatorProcess.start(database, "token", "--seed", "3", *WEBHOOK, *CONNECT)
    paying = Thread(target=_pay_until_dead, args=(first, answered, dead))
    paying.start()
    while len(answered) < 50:
        pass
    first.kill()
    paying.join()
    with EmulatorProcess.start(database, "token", "--seed", "3", *WEBHOOK, *CONNECT) as second:
        client, control = _client(second), second.control()
        for key, intent in answered.items():
            again = client.v1.payment_intents.create(params=PAYMENT, options={"idempotency_key": key})
            assert again.id == intent
            assert again.last_response.headers["Idempotent-Replayed"] == "true"
        charged = [effect["payment_intent"] for effect in control.effects()]
        assert set(answered.values()) <= set(charged)
        assert len(charged) == len(set(charged)) <= len(answered) + 1
        assert control.summary()["ledger_errors"] == []
        assert len(client.v1.webhook_endpoints.list().data) == 2, "the start options make the same endpoints once"


def test_clock_and_waiting_work_survive(tmp_path: Path) -> None:
    database = tmp_path / "stripe.sqlite3"
    first = EmulatorProcess.start(database, "token")
    first.control().set_clock(1_800_000_000)
    intent = _client(first).v1.payment_intents.create(params=PAYMENT)
    first.kill()
    with EmulatorProcess.start(database, "token") as second:
        assert second.control().clock()["now"] == 1_800_000_000
        second.control().advance_clock(5)
        charge = _client(second).v1.charges.retrieve(str(intent.latest_charge))
        assert charge.balance_transaction is not None


def test_no_secret_is_in_the_recorder(tmp_path: Path) -> None:
    with EmulatorProcess.start(tmp_path / "stripe.sqlite3", "token", *WEBHOOK) as emulator:
        stripe.StripeClient("sk_test_very_secret", base_addresses={"api": emulator.base_url}).v1.balance.retrieve()
        control = emulator.control()
        shown = str([control.requests(), control.effects(), control.summary(), control.deliveries()])
    assert "very_secret" not in shown
    assert "whsec_known" not in shown


def test_a_missing_setting_stops_the_start(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        EmulatorProcess.start(tmp_path / "stripe.sqlite3", "")
    assert "control_token" in capfd.readouterr().err
