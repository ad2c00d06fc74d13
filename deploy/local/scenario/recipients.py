"""Who gets shares: venues and artists with accounts at Stripe and royalties, and people who resell tickets.

The same in every run with the same fleet; what is there already stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import psycopg

from db.tenants.tenants import Tenant, Venue
from deploy.local.stripe.control import EmulatorControl

NAMES = UUID("6f1e0b52-9f0c-5c0e-8a43-3c1de4a7c002")  # namespace of these ids

# Venues in whose escrow shares lie until their event is over, and when that is: in days from now.
ESCROW = {"Club Stage": -2, "Backroom": 30}
ARTIST_OF_A_SALE, ARTIST_OF_A_RESALE, VENUE_OF_A_RESALE = 800, 500, 200  # basis points


@dataclass(frozen=True, slots=True)
class Seller:
    """Somebody who resells tickets; the account is theirs at Stripe, None while they have none."""

    recipient_id: UUID
    name: str
    account_id: str | None

    def as_seller(self) -> dict[str, Any]:
        return {"recipient_id": str(self.recipient_id), "name": self.name, "account_id": self.account_id}


@dataclass(frozen=True, slots=True)
class Recipients:
    """`accounts` of venues and artists, and the people who resell. One seller in twenty-five has no account yet."""

    tenants: tuple[Tenant, ...]
    accounts: tuple[str, ...]
    sellers: tuple[Seller, ...]

    @property
    def all_accounts(self) -> list[str]:
        return [*self.accounts, *(seller.account_id for seller in self.sellers if seller.account_id is not None)]


def register_recipients(
    owner: psycopg.Connection[Any], control: EmulatorControl, tenants: Sequence[Tenant], *, sellers: int
) -> Recipients:
    """Give venues and artists their accounts, and set the royalties; needs the schema's owner, as any import does."""
    accounts = [
        account
        for tenant in tenants
        for venue in tenant.venues
        for account in _register_venue(owner, control, tenant, venue)
    ]
    people = tuple(_seller(control, number) for number in range(sellers))
    return Recipients(tuple(tenants), tuple(accounts), people)


def _register_venue(
    owner: psycopg.Connection[Any], control: EmulatorControl, tenant: Tenant, venue: Venue
) -> tuple[str, str]:
    artist = uuid5(NAMES, f"artist/{venue.venue_id}")
    accounts = (_account(control, f"venue/{venue.venue_id}"), _account(control, f"artist/{venue.venue_id}"))
    for recipient_id, name, account in (
        (venue.venue_id, venue.name, accounts[0]),
        (artist, f"The Band of {venue.name}", accounts[1]),
    ):
        owner.execute(
            """
            INSERT INTO recipients (tenant_id, recipient_id, kind, name, account_id, currency)
            VALUES (%(tenant_id)s, %(recipient_id)s, 'artist', %(name)s, %(account_id)s, %(currency)s)
            ON CONFLICT (tenant_id, recipient_id) DO UPDATE SET account_id = EXCLUDED.account_id
            """,
            {
                "tenant_id": tenant.tenant_id,
                "recipient_id": recipient_id,
                "name": name,
                "account_id": account,
                "currency": venue.currency,
            },
        )
    if venue.name in ESCROW:
        owner.execute(
            "UPDATE venues SET escrow_days = 1 WHERE tenant_id = %s AND venue_id = %s",
            [tenant.tenant_id, venue.venue_id],
        )
    _set_royalty(owner, tenant, venue, "primary", artist, ARTIST_OF_A_SALE)
    _set_royalty(owner, tenant, venue, "resale", artist, ARTIST_OF_A_RESALE)
    _set_royalty(owner, tenant, venue, "resale", venue.venue_id, VENUE_OF_A_RESALE)
    return accounts


def _set_royalty(
    owner: psycopg.Connection[Any], tenant: Tenant, venue: Venue, sale: str, recipient_id: UUID, points: int
) -> None:
    owner.execute(
        """
        INSERT INTO royalty_settings (tenant_id, venue_id, sale, recipient_id, basis_points)
        VALUES (%(tenant_id)s, %(venue_id)s, %(sale)s, %(recipient_id)s, %(points)s)
        ON CONFLICT DO NOTHING
        """,
        {
            "tenant_id": tenant.tenant_id,
            "venue_id": venue.venue_id,
            "sale": sale,
            "recipient_id": recipient_id,
            "points": points,
        },
    )


def _seller(control: EmulatorControl, number: int) -> Seller:
    name = f"seller-{number}"
    account = None if number % 25 == 24 else _account(control, f"seller/{number}")
    return Seller(uuid5(NAMES, name), name, account)


def _account(control: EmulatorControl, name: str) -> str:
    """The account of that name, made when it is not there."""
    return str(control.account(f"acct_{uuid5(NAMES, name).hex[:20]}")["id"])
