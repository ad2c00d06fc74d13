"""Group payments: which members have paid, which have not, and the state history. Cancelling one is a command (`fleet
groups cancel`).
"""

from starlette.responses import Response

from db.groups import contributions
from db.groups import views as group_views
from db.groups.states import GroupState
from db.tenants import tenants
from outbox.ops.console.request_context import RequestContext
from outbox.ops.console.responses import PageError

SHOWN = 50
STATES = tuple(state.value for state in GroupState)


def index(context: RequestContext) -> Response:
    """GET /groups: the groups that changed last; an unknown `state` is ignored."""
    selected = context.query.text("state").replace("cancelled", "canceled")  # the former spelling is accepted
    state = GroupState(selected) if selected in STATES else None
    with context.db.ops_transaction() as tx:
        groups = group_views.latest(tx, state=state, limit=SHOWN)
        names = tenants.names(tx)
    return context.page("groups.html", groups=groups, state=state or "", states=STATES, tenants=names)


def detail(context: RequestContext) -> Response:
    """GET /groups/{id}: members, payments and history; 404 when no group or several tenants have the id."""
    group_id = context.id_in_path("group")
    with context.db.ops_transaction() as tx:
        groups = group_views.by_id(tx, group_id)
        if len(groups) != 1:
            raise PageError(404, "group not found" if not groups else "several tenants use this id")
        members, attempts = contributions.of_group(tx, group_id), contributions.attempts(tx, group_id)
        state_changes = group_views.moves(tx, groups[0])
    return context.page("group.html", group=groups[0], members=members, attempts=attempts, state_changes=state_changes)
