"""Tokens of tickets: what waits and why, and one ticket's whole way onto the chain. Trying again is a command."""

from starlette.responses import Response

from db.lifecycle import MintState
from db.minting import mints, signers
from db.minting import views as mint_lists
from db.tenants import tenants
from outbox.ops.console.responses import Trouble
from outbox.ops.console.visit import Visit

SHOWN = 50
GWEI = 10**9
STATES = tuple(state.value for state in MintState)


def index(visit: Visit) -> Response:
    asked = visit.query.text("state")
    state = asked if asked in STATES else None
    with visit.db.ops_transaction() as tx:
        wanted = None if state is None else [state]
        found = mint_lists.find(tx, states=wanted, tenant_id=None, payment_id=None, limit=SHOWN)
        counts, waits, names = mints.counts(tx), signers.waits(tx), tenants.names(tx)
    return visit.page(
        "mints.html", mints=found, counts=counts, waits=waits, state=state or "", states=STATES, tenants=names
    )


def detail(visit: Visit) -> Response:
    with visit.db.ops_transaction() as tx:
        found = mint_lists.of_ticket(tx, visit.id_in_path("ticket"))
        if len(found) != 1:
            raise Trouble(
                404, "no token was asked for this ticket" if not found else "several tenants have used this id"
            )
        moves, sent = mint_lists.history(tx, found[0]), mint_lists.transactions(tx, found[0])
        names = tenants.names(tx)
    return visit.page("mint.html", mint=found[0], moves=moves, sent=sent, gwei=GWEI, tenants=names)
