"""Groups that pay together: who has paid, who is missing, and what happened. Calling one off is a command."""

from starlette.responses import Response

from db.groups import contributions
from db.groups import views as group_views
from db.groups.states import GroupState
from db.tenants import tenants
from outbox.ops.console.responses import PageError
from outbox.ops.console.visit import RequestContext

SHOWN = 50
STATES = tuple(state.value for state in GroupState)


def index(visit: RequestContext) -> Response:
    asked = visit.query.text("state").replace("cancelled", "canceled")  # the spelling of before is understood
    state = GroupState(asked) if asked in STATES else None
    with visit.db.ops_transaction() as tx:
        groups = group_views.latest(tx, state=state, limit=SHOWN)
        names = tenants.names(tx)
    return visit.page("paying_groups.html", groups=groups, state=state or "", states=STATES, tenants=names)


def detail(visit: RequestContext) -> Response:
    group_id = visit.id_in_path("group")
    with visit.db.ops_transaction() as tx:
        groups = group_views.by_id(tx, group_id)
        if len(groups) != 1:
            raise PageError(404, "no group has this id" if not groups else "several tenants have used this id")
        shares, attempts = contributions.of_group(tx, group_id), contributions.attempts(tx, group_id)
        moves = group_views.moves(tx, groups[0])
    return visit.page("paying_group.html", group=groups[0], shares=shares, attempts=attempts, moves=moves)
