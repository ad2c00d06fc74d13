"""Callers of the API and what they may access: the claims of an RS256 token (outbox/web/bearer_tokens.py).

    sub         the caller; rate limits and idempotency keys are scoped to tenant and sub
    tenant_id   the one tenant whose data the caller may access
    roles       a list of: buyer, venue_staff, finance, service
    venues      a list of venue ids, or "*" for all venues of the tenant; without the claim, none
    scope       only for the role service: permissions, separated by spaces (RFC 8693)

A buyer may access its own payments (those whose buyer_id is its sub); the other roles may access payments of their
venues. A payment or group that the caller may not access is answered with 404, as if it did not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from messages.ids import TenantId, VenueId
from outbox.web.bearer_tokens import BadTokenError, name_in, words_in


class Permission(StrEnum):
    """The permission that an operation requires. A service has those that its `scope` lists."""

    CREATE = "payments:create"
    READ = "payments:read"
    REFUND = "payments:refund"
    CAPTURE = "payments:capture"
    CANCEL = "payments:cancel"
    COMPLETE = "payments:complete"
    QUOTE_FEES = "fees:quote"
    QUOTE_TAX = "tax:quote"


class CallerRole(StrEnum):
    """The roles a token may claim; unknown ones in a token are ignored."""

    BUYER = "buyer"
    VENUE_STAFF = "venue_staff"
    FINANCE = "finance"
    SERVICE = "service"


_P = Permission
GRANTED: Mapping[CallerRole, frozenset[Permission]] = {
    CallerRole.BUYER: frozenset({_P.CREATE, _P.READ, _P.QUOTE_FEES}),
    CallerRole.VENUE_STAFF: frozenset({_P.CREATE, _P.READ, _P.QUOTE_FEES, _P.CAPTURE, _P.CANCEL}),
    CallerRole.FINANCE: frozenset({_P.READ, _P.QUOTE_FEES, _P.REFUND, _P.CAPTURE, _P.CANCEL}),
    CallerRole.SERVICE: frozenset(),
}
EVERY_VENUE = "*"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. `venues` is None for all venues of the tenant."""

    tenant_id: TenantId
    subject: str
    roles: frozenset[CallerRole]
    venues: frozenset[VenueId] | None
    scopes: frozenset[str]

    def may(self, permission: Permission) -> bool:
        """Whether any role grants the permission; for which venues and buyers is decided by `reaches`."""
        return any(self._grants(role, permission) for role in self.roles)

    def reaches(self, permission: Permission, *, venue_id: VenueId, buyer_id: str) -> bool:
        """Whether a role that grants the permission covers this venue or this buyer."""
        granting = {role for role in self.roles if self._grants(role, permission)}
        own = CallerRole.BUYER in granting and buyer_id == self.subject
        return own or (bool(granting - {CallerRole.BUYER}) and (self.venues is None or venue_id in self.venues))

    def _grants(self, role: CallerRole, permission: Permission) -> bool:
        return permission in self.scopes if role is CallerRole.SERVICE else permission in GRANTED[role]


def caller_in(claims: Mapping[str, Any]) -> Caller:
    """The caller that the claims describe.

    Raises:
        BadTokenError: a claim is missing or malformed.
    """
    strs = {role.value for role in CallerRole}
    roles = frozenset(CallerRole(word) for word in words_in(claims, "roles") if word in strs)
    scope = claims.get("scope")
    scopes = frozenset(scope.split()) if isinstance(scope, str) else frozenset()
    return Caller(
        TenantId(_uuid(claims.get("tenant_id"), "tenant_id")), name_in(claims), roles, _venues(claims), scopes
    )


def _venues(claims: Mapping[str, Any]) -> frozenset[VenueId] | None:
    """The venues of the claim; None stands for all of them, an empty set for none (also without the claim)."""
    if claims.get("venues") == EVERY_VENUE:
        return None
    words = words_in(claims, "venues")
    return None if EVERY_VENUE in words else frozenset(VenueId(_uuid(word, "venues")) for word in words)


def _uuid(given: object, claim: str) -> UUID:
    try:
        return UUID(given if isinstance(given, str) else "")
    except ValueError:
        raise BadTokenError(f"the token's claim {claim} is missing or not a UUID") from None
