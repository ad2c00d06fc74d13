"""`fleet tenants import FILE`: register tenants, venues and fee plans from a JSON list.

    [{"tenant_id": UUID, "name": "...", "venues": [
        {"venue_id": UUID, "name": "...", "currency": "eur", "basis_points": 500, "fixed_minor": 50,
         "refund_fee_policy": "returned", "early_fraud_policy": "leave", "refund_policy_text": "...",
         "minting": {"mints": "on", "custodial_wallet": "0x...", "refunded_tokens": "void",
                     "royalty_receiver": "0x...", "royalty_basis_points": 750}}]}]

`refund_policy_text` may be left out; it is the venue's own, as buyers read it, and becomes evidence in disputes.

The policies may be left out. refund_fee_policy: whether the platform's fee comes back with a refund (returned, in
proportion, unless it says kept). early_fraud_policy: whether a warning of Stripe's refunds the payment (refund) or is
left to people (leave, unless it says otherwise).

minting may be left out, and then nothing changes; a venue that never said `"mints": "on"` mints nothing. Tickets of
buyers who name no wallet go to the custodial wallet, and wait without one. A refunded ticket's token is voided (void)
or left to its owner (leave). Of each resale the receiver is due so many hundredths of a percent (ERC-2981).

What is registered already stays as it is, so the same file may be imported again; only policies and minting that the
file names are changed, for the refunds, warnings and tickets that come.
"""

import sys
from pathlib import Path

import orjson
import psycopg

from db import tenants
from db.settings import MigrationSettings
from messages.settings import EX_CONFIG, SettingsError, load, stop_the_start


def import_file(path: Path) -> int:
    try:
        (settings,) = load(MigrationSettings)
    except SettingsError as error:
        stop_the_start(error)
    try:
        wanted = [tenants.tenant_from_json(value) for value in orjson.loads(path.read_bytes())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"{path} is no list of tenants: {error!r}\n")
        return EX_CONFIG
    with psycopg.connect(settings.migration_database_url.get_secret_value(), autocommit=True) as owner:
        tenants.register(owner, wanted)
    print(f"{len(wanted)} tenants are registered.")
    return 0
