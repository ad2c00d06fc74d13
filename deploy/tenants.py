"""`fleet tenants import FILE`: register tenants and venues, and how their sales are cut, from a JSON list.

    [{"tenant_id": UUID, "name": "...",
      "fee_tiers": {"arena": {"currency": "eur", "basis_points": 500, "fixed_minor": 50,
                              "minimum_minor": 100, "maximum_minor": 5000}},
      "venues": [
        {"venue_id": UUID, "name": "...", "currency": "eur", "tier": "arena",      # or "basis_points", "fixed_minor"
         "escrow_days": 3, "settlement_mode": "separate",
         "refund_fee_policy": "returned", "early_fraud_policy": "leave", "refund_policy_text": "...",
         "minting": {"mints": "on", "custodial_wallet": "0x...", "refunded_tokens": "void",
                     "royalty_receiver": "0x...", "royalty_basis_points": 750}}],
      "recipients": [
        {"recipient_id": UUID, "kind": "artist", "name": "...", "currency": "eur", "account_id": "acct_...",
         "settlement": "weekly", "minimum_minor": 1000}],
      "royalties": [
        {"venue_id": UUID, "event_id": UUID, "sale": "resale", "recipient_id": UUID, "basis_points": 1000,
         "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"}],
      "resale_rules": [{"venue_id": UUID, "floor_basis_points": 5000, "ceiling_basis_points": 12000}]}]

Everything but ids, names, currencies, the price of a venue and the numbers of a royalty may be left out. A venue is a
recipient by itself, under its own id and the kind `venue`; naming it among the recipients says where its money goes.

refund_fee_policy: whether the platform's fee comes back with a refund (returned, in proportion, unless it says kept).
early_fraud_policy: whether a warning of Stripe's refunds the payment (refund) or is left to people (leave, unless it
says otherwise). escrow_days: how long after its event a venue's shares are held; null holds nothing. An event with
royalties or resale rules of its own follows these alone, any other those of its venue.

minting may be left out, and then nothing changes; a venue that never said `"mints": "on"` mints nothing. Tickets of
buyers who name no wallet go to the custodial wallet, and wait without one. A refunded ticket's token is voided (void)
or left to its owner (leave). Of each resale the receiver is due so many hundredths of a percent (ERC-2981).

The same file may be imported again. Prices stay as they are, because payments rest on them: a venue moves to another
tier instead. Policies, escrow, recipients and resale rules take what the file says. A royalty that has begun keeps its
rate; it is ended by a valid_until that is still to come, and another begins after it. Sales that are cut already stay
as they were cut.
"""

import sys
from pathlib import Path

import orjson
import psycopg

from db.settings import MigrationSettings
from db.tenants import tenants
from messages.runtime.settings import EX_CONFIG, SettingsError, load, stop_the_start
from messages.tenant_files import read_tenants


def import_file(path: Path) -> int:
    try:
        (settings,) = load(MigrationSettings)
    except SettingsError as error:
        stop_the_start(error)
    try:
        tenant_files = read_tenants(orjson.loads(path.read_bytes()))
        with psycopg.connect(settings.migration_database_url.get_secret_value(), autocommit=True) as owner:
            for file in tenant_files:
                tenants.import_file(owner, file)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{path} cannot be imported: {error}\n")
        return EX_CONFIG
    print(f"{len(tenant_files)} tenants are registered.")
    return 0
