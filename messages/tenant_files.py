"""The form of the file by which tenants are registered, and how their sales are cut (`fleet tenants import`).

What can be said of the file alone is checked here; what depends on what is registered already, in
db/tenants/sale_settings.py.
"""

from datetime import UTC, datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from messages.base import WireModel
from messages.fees import BASIS_POINTS, FeePlan
from messages.ids import AccountId
from messages.money import DECIMALS, LARGEST_MINOR
from messages.token_ids import WalletAddress

Points = Field(ge=0, le=BASIS_POINTS, strict=True)
ALWAYS, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Price(WireModel):
    """What the platform charges: basis points of the sale plus a fixed part, within bounds, in minor units."""

    basis_points: int = Points
    fixed_minor: int = Field(ge=0, le=LARGEST_MINOR, strict=True)
    minimum_minor: int = Field(default=0, ge=0, le=LARGEST_MINOR, strict=True)
    maximum_minor: int | None = Field(default=None, ge=0, le=LARGEST_MINOR, strict=True)

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.maximum_minor is not None and self.maximum_minor < self.minimum_minor:
            raise ValueError("maximum_minor is below minimum_minor")
        return self

    def plan(self, currency: str) -> FeePlan:
        return FeePlan(self.basis_points, self.fixed_minor, currency, self.minimum_minor, self.maximum_minor)


class Tier(Price):
    """A price that venues of one kind share."""

    currency: str


class ListedMinting(WireModel):
    """What a venue wants of tokens (db/minting/venue_settings.py tells what each word means)."""

    mints: Literal["on", "off"]
    custodial_wallet: WalletAddress | None = None
    refunded_tokens: Literal["void", "leave"] = "void"
    royalty_receiver: WalletAddress | None = None
    royalty_basis_points: int = Field(default=0, ge=0, le=BASIS_POINTS, strict=True)


class ListedVenue(WireModel):
    """Its price is a tier's, or its own. What is left out stays as it is, or as a new venue has it."""

    venue_id: UUID
    name: str = Field(min_length=1, max_length=200)
    currency: str
    tier: str | None = None
    basis_points: int | None = Field(default=None, ge=0, le=BASIS_POINTS, strict=True)
    fixed_minor: int | None = Field(default=None, ge=0, le=LARGEST_MINOR, strict=True)
    minimum_minor: int = Field(default=0, ge=0, le=LARGEST_MINOR, strict=True)
    maximum_minor: int | None = Field(default=None, ge=0, le=LARGEST_MINOR, strict=True)
    refund_policy_text: str | None = None
    refund_fee_policy: Literal["returned", "kept"] | None = None
    early_fraud_policy: Literal["refund", "leave"] | None = None
    escrow_days: int | None = Field(default=None, ge=0, le=365, strict=True)
    settlement_mode: Literal["separate", "destination"] | None = None
    minting: ListedMinting | None = None

    @model_validator(mode="after")
    def _has_a_price(self) -> Self:
        own = (self.basis_points, self.fixed_minor)
        if (self.tier is None) == (None in own):
            raise ValueError(f"venue {self.venue_id} names a tier, or basis_points and fixed_minor")
        if self.currency not in DECIMALS:
            raise ValueError(f"venue {self.venue_id}: currency {self.currency!r} is none that we charge in")
        return self


class ListedRecipient(WireModel):
    """Who gets shares. A venue is one by itself, under its own id; naming it here says where its money goes."""

    recipient_id: UUID
    kind: Literal["venue", "seller", "artist", "promoter", "other"]
    name: str = Field(min_length=1, max_length=200)
    currency: str
    account_id: AccountId | None = None
    settlement: Literal["immediate", "weekly"] = "immediate"
    minimum_minor: int = Field(default=0, ge=0, le=LARGEST_MINOR, strict=True)


class ListedRoyalty(WireModel):
    """What one recipient gets of each sale from `valid_from` (else: ever) up to `valid_until` (else: for good)."""

    venue_id: UUID
    event_id: UUID | None = None
    sale: Literal["primary", "resale"]
    recipient_id: UUID
    basis_points: int = Points
    valid_from: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if (self.valid_from or ALWAYS) >= (self.valid_until or NEVER):
            raise ValueError(f"the royalty of {self.recipient_id} ends before it begins")
        return self


class ListedResaleRule(WireModel):
    """Bounds of resale prices, in basis points of the face value."""

    venue_id: UUID
    event_id: UUID | None = None
    floor_basis_points: int = Field(default=0, ge=0, strict=True)
    ceiling_basis_points: int | None = Field(default=None, ge=0, strict=True)


class TenantFile(WireModel):
    """One tenant: its venues, and, where they are named, its fee tiers, recipients, royalties and resale rules."""

    tenant_id: UUID
    name: str = Field(min_length=1, max_length=200)
    fee_tiers: dict[str, Tier] = Field(default_factory=dict)
    venues: tuple[ListedVenue, ...]
    recipients: tuple[ListedRecipient, ...] = ()
    royalties: tuple[ListedRoyalty, ...] = ()
    resale_rules: tuple[ListedResaleRule, ...] = ()

    @model_validator(mode="after")
    def _tiers_are_there(self) -> Self:
        for venue in self.venues:
            tier = self.fee_tiers.get(venue.tier) if venue.tier is not None else None
            if venue.tier is not None and tier is None:
                raise ValueError(f"venue {venue.venue_id} names the tier {venue.tier!r}, which is not in fee_tiers")
            if tier is not None and tier.currency != venue.currency:
                raise ValueError(f"venue {venue.venue_id} sells in {venue.currency}, its tier is in {tier.currency}")
        return self

    def plan_of(self, venue: ListedVenue) -> FeePlan:
        """What the platform charges for a sale at this venue."""
        if venue.tier is not None:
            return self.fee_tiers[venue.tier].plan(venue.currency)
        assert venue.basis_points is not None and venue.fixed_minor is not None, "a venue without a tier has a price"
        return FeePlan(venue.basis_points, venue.fixed_minor, venue.currency, venue.minimum_minor, venue.maximum_minor)


def read_tenant(value: object) -> TenantFile:
    """One tenant of the file.

    Raises:
        ValueError: with one sentence, where and what is wrong.
    """
    try:
        return TenantFile.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}: {said}" if place else said) from None


def read_tenants(value: object) -> list[TenantFile]:
    """The whole file. Raises as `read_tenant`."""
    if not isinstance(value, list):
        raise ValueError("it is no list of tenants")  # noqa: TRY004  to whoever wrote the file both are the same
    return [read_tenant(one) for one in value]
