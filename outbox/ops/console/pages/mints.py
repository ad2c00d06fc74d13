"""Tokens of tickets: what waits and why, and one ticket's whole way onto the chain. Trying again is a command."""

from starlette.responses import Response

from db.minting import mints, signers
from db.minting import views as mint_views
from db.minting.states import MintState
from db.tenants import tenants
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import RequestContext

SHOWN = 50
GWEI = 10**9
STATES = tuple(state.value for state in MintState)


def index(visit: RequestContext) -> Response:
    asked = visit.query.text("state")
    state = asked if asked in STATES else None
    with visit.db.ops_transaction() as tx:
        wanted = None if state is None else [state]
        found = mint_views.find(tx, states=wanted, tenant_id=None, payment_id=None, limit=SHOWN)
        counts, waits, names = mints.counts(tx), signers.waits(tx), tenants.names(tx)
    return visit.page(
        "mints.html", mints=found, counts=counts, waits=waits, state=state or "", states=STATES, tenants=names
    )


def detail(visit: RequestContext) -> Response:
    with visit.db.ops_transaction() as tx:
        found = mint_views.of_ticket(tx, visit.id_in_path("ticket"))
        if len(found) != 1:
            raise PageError(
                404, "no token was asked for this ticket" if not found else "several tenants have used this id"
            )
        moves, sent = mint_views.history(tx, found[0]), mint_views.transactions(tx, found[0])
        names = tenants.names(tx)
    return visit.page("mint.html", mint=found[0], moves=moves, sent=sent, gwei=GWEI, tenants=names)
