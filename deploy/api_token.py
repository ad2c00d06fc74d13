"""`fleet --local api token`: a token for tries on one's own machine. It signs, so it exists for APP_ENV=local alone."""

import sys
from collections.abc import Sequence
from uuid import UUID

from messages.runtime.settings import SettingsError, load, stop_the_start
from outbox.intake.api.callers import EVERY_VENUE, CallerRole, Permission
from outbox.intake.api.settings import ApiSigningSettings
from outbox.web.bearer_tokens import read_private_key, sign


def show_token(
    tenant: UUID, roles: Sequence[str], venues: Sequence[str], scopes: Sequence[str], subject: str, minutes: int
) -> int:
    """Print the token alone, so that a shell can take it; returns the exit code."""
    if problem := _problem(roles, venues, scopes):
        sys.stderr.write(f"{problem}\n")
        return 2
    try:
        (settings,) = load(ApiSigningSettings)
    except SettingsError as error:
        stop_the_start(error)
    claims = {
        "sub": subject,
        "tenant_id": str(tenant),
        "roles": list(roles),
        "venues": list(venues) or EVERY_VENUE,
        "scope": " ".join(scopes),
    }
    key = read_private_key(settings.api_signing_key_file)
    issuer, audience = settings.api_jwt_issuer, settings.api_jwt_audience
    print(sign(claims, key, issuer=issuer, audience=audience, seconds=minutes * 60))
    return 0


def _problem(roles: Sequence[str], venues: Sequence[str], scopes: Sequence[str]) -> str | None:
    """What the API would not understand, said here and not by a 401 later."""
    for strs, known in ((roles, CallerRole), (scopes, Permission)):
        if strangers := set(strs) - {str(word) for word in known}:
            return f"unknown: {', '.join(sorted(strangers))}; there are {', '.join(known)}"
    if CallerRole.SERVICE in roles and not scopes:
        return f"a service may do what its scopes say: add --scope, one of {', '.join(Permission)}"
    if nowhere := [venue for venue in venues if not _is_uuid(venue)]:
        return f"no venue id: {', '.join(nowhere)}"
    return None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
