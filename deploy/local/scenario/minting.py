"""Venues that mint: whose wallet keeps a token, and what royalty a resale must give."""

from typing import Any

import psycopg

from db.minting import venue_settings
from db.minting.venue_settings import MintSettings
from deploy.local.scenario.orders import tenants
from messages.token_ids import checksummed, keccak256


def wallet(name: str) -> str:
    """The address of somebody who is made up."""
    return checksummed("0x" + keccak256(name.encode())[-20:].hex())


def royalty_of(venue_name: str) -> tuple[str, int]:
    """Receiver and basis points."""
    return wallet(f"royalties of {venue_name}"), 250 + 50 * len(venue_name)


def let_venues_mint(owner: psycopg.Connection[Any]) -> None:
    """Every venue mints; buyers without a wallet get theirs kept by the venue."""
    for tenant in tenants():
        settings = [
            MintSettings(
                venue.venue_id,
                "on",
                custodial_wallet=wallet(f"kept by {venue.name}"),
                royalty_receiver=royalty_of(venue.name)[0],
                royalty_basis_points=royalty_of(venue.name)[1],
            )
            for venue in tenant.venues
        ]
        venue_settings.write(owner, tenant.tenant_id, settings)
