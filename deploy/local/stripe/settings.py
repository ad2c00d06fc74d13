"""The settings: each is a flag, or STRIPE_EMULATOR_<NAME> in the environment; the flag wins.

The ports, the database and the control token have no default. Units are in the names: `_ms`, `_seconds`, `_minor`
(the currency's smallest unit), `_basis_points` (hundredths of a percent).
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

_PREFIX = "STRIPE_EMULATOR_"
BEYOND_BALANCE = ("wait", "overdraw")


@dataclass(frozen=True, slots=True)
class Settings:
    port: int
    control_port: int
    database: Path
    control_token: str
    seed: int | None = None
    latency_ms: int = 0  # time each POST holds its idempotency key; 0 = only the machine's own
    async_capture_delay_ms: int = 500  # until balance_transaction of an automatic_async charge is filled
    search_lag_seconds: float = 60.0  # Stripe: "within a minute" normally
    bank_debit_seconds: float = 180.0  # until a us_bank_account debit settles
    funds_delay_seconds: int = 2 * 24 * 3600  # until a charge's money is available
    authorization_seconds: int = 7 * 24 * 3600  # until an uncaptured intent is canceled
    refund_seconds: float = 60.0  # until a pending refund arrives, or one that is to fail has failed
    dispute_seconds: float = 2.0  # until the bank of a disputing or warning test card acts, and until evidence decides
    dispute_response_seconds: int = 9 * 24 * 3600  # how long evidence is awaited; Stripe: about 7 to 21 days
    dispute_fee_minor: int = 1500
    refunds_beyond_balance: str = "wait"  # a card refund larger than the available balance: wait, or overdraw it
    payout_pending_seconds: float = 3600.0  # until a payout is handed to the bank and can no longer be canceled
    payout_seconds: int = 2 * 24 * 3600  # until it arrives there
    payout_reconciliation_seconds: float = 60.0  # until an automatic payout's contents can be listed
    topup_seconds: float = 60.0  # until a top-up arrives in the balance
    fee_basis_points: int = 290
    fee_fixed_minor: int = 30
    limit_per_second: float | None = None  # requests of one account; Stripe: 100 live, 25 in a sandbox
    endpoint_limit_per_second: float | None = None  # and of one endpoint of it; Stripe: 25
    webhook_endpoint: str | None = None
    webhook_secret: str | None = None
    connect_webhook_endpoint: str | None = None  # for the events of connected accounts, with a secret of its own
    connect_webhook_secret: str | None = None
    webhook_events: tuple[str, ...] = ("*",)  # the types those endpoints are subscribed to
    webhook_delay_ms: int = 0
    webhook_timeout_seconds: float = 10.0
    webhook_retry_seconds: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 60.0, 60.0)
    webhook_concurrency: int = 16
    verify_ledger: int = 0  # 1: the books are checked inside every request that writes; costs time, for tests

    def __post_init__(self) -> None:
        if self.refunds_beyond_balance not in BEYOND_BALANCE:
            raise ValueError(f"--refunds-beyond-balance is one of {', '.join(BEYOND_BALANCE)}")
        for endpoint, secret, flag in (
            (self.webhook_endpoint, self.webhook_secret, "--webhook"),
            (self.connect_webhook_endpoint, self.connect_webhook_secret, "--connect-webhook"),
        ):
            if (endpoint is None) != (secret is None):
                raise ValueError(f"{flag}-endpoint and {flag}-secret are given together or not at all")
            if secret is not None and not secret.startswith("whsec_"):
                raise ValueError("a webhook secret starts with whsec_")


def read(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    """Stops with argparse's own message when something is missing or malformed."""
    parser = argparse.ArgumentParser(prog="stripe-emulator", description=__doc__)
    for setting in fields(Settings):
        flag = "--" + setting.name.replace("_", "-")
        parser.add_argument(flag, dest=setting.name, type=_reader(setting.name), metavar="VALUE")
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    values = _from_environment(environment) | given
    missing = [s.name for s in fields(Settings) if s.default is MISSING and s.name not in values]
    if missing:
        parser.error(f"missing: {', '.join(missing)} (as a flag, or {_PREFIX}{missing[0].upper()} in the environment)")
    try:
        return Settings(**values)
    except ValueError as error:
        parser.error(str(error))


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    names = {setting.name: f"{_PREFIX}{setting.name.upper()}" for setting in fields(Settings)}
    return {name: _reader(name)(environment[key]) for name, key in names.items() if environment.get(key)}


def _reader(name: str) -> Any:
    readers: dict[str, Any] = {
        "database": Path,
        "webhook_retry_seconds": _seconds,
        "webhook_events": _words,
        "search_lag_seconds": float,
        "bank_debit_seconds": float,
        "refund_seconds": float,
        "dispute_seconds": float,
        "payout_pending_seconds": float,
        "payout_reconciliation_seconds": float,
        "topup_seconds": float,
        "limit_per_second": float,
        "endpoint_limit_per_second": float,
        "webhook_timeout_seconds": float,
    }
    strings = (
        "control_token", "webhook_endpoint", "webhook_secret", "connect_webhook_endpoint", "connect_webhook_secret",
        "refunds_beyond_balance",
    )  # fmt: skip
    return readers.get(name, str if name in strings else int)


def _seconds(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))
