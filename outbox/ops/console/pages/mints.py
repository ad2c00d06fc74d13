"""Ticket tokens: the state of each mint, what it waits for, and the transactions of one ticket. Retrying is a command
(`fleet mint retry`).
"""

from starlette.responses import Response

from db.minting import mints, signers
from db.minting import views as mint_views
from db.minting.states import MintState
from db.tenants import tenants
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError

SHOWN = 50
GWEI = 10**9
STATES = tuple(state.value for state in MintState)


def index(context: RequestContext) -> Response:
    """GET /mints: the mints that changed last, counts by state, and why signers cannot submit."""
    selected = context.query.text("state")
    state = selected if selected in STATES else None
    with context.db.ops_transaction() as tx:
        states = None if state is None else [state]
        latest = mint_views.find(tx, states=states, tenant_id=None, payment_id=None, limit=SHOWN)
        counts, waits, names = mints.counts(tx), signers.waits(tx), tenants.names(tx)
    return context.page(
        "mints.html", mints=latest, counts=counts, waits=waits, state=state or "", states=STATES, tenants=names
    )


def detail(context: RequestContext) -> Response:
    """GET /mints/{ticket}: one ticket's mint and its transactions; 404 when none or several tenants have the id."""
    with context.db.ops_transaction() as tx:
        matches = mint_views.of_ticket(tx, context.id_in_path("ticket"))
        if len(matches) != 1:
            raise PageError(
                404, "no mint was requested for this ticket" if not matches else "several tenants use this id"
            )
        history, transactions = mint_views.history(tx, matches[0]), mint_views.transactions(tx, matches[0])
        names = tenants.names(tx)
    return context.page(
        "mint.html", mint=matches[0], history=history, transactions=transactions, gwei=GWEI, tenants=names
    )
