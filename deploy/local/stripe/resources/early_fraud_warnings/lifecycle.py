"""Early fraud warnings: the card's bank says that a payment may be fraud, often some time before it is disputed.

A warning is actionable until the charge is disputed or wholly refunded.
"""

from ...state.recorder import Origin
from ...state.store import Record
from ...wire.errors import Json
from ...world import World

FRAUD_TYPES = frozenset(
    (
        "card_never_received", "fraudulent_card_application", "made_with_counterfeit_card", "made_with_lost_card",
        "made_with_stolen_card", "misc", "unauthorized_use_of_card",
    )
)  # fmt: skip


def issue_by_clock(world: World, account: str, charge_id: str) -> None:
    """What a test card does, a little after its charge was captured."""
    charge = world.store.find(account, "charge", charge_id)
    if charge is not None:
        issue(world, charge)


def issue(world: World, charge: Record, fraud_type: str = "misc") -> Record:
    """The card's bank warns of fraud; emits `radar.early_fraud_warning.created`."""
    body: Json = {
        "id": world.identifiers.new("issfr"),
        "object": "radar.early_fraud_warning",
        "actionable": _actionable(charge),
        "charge": charge.id,
        "created": world.clock.now(),
        "fraud_type": fraud_type,
        "livemode": False,
        "payment_intent": charge.body["payment_intent"],
    }
    warning = world.insert(charge.account, "early_fraud_warning", body)
    world.outbox.emit(charge.account, "radar.early_fraud_warning.created", body, Origin())
    return warning


def _actionable(charge: Record) -> bool:
    return not (charge.body["disputed"] or charge.body["refunded"])


def review(world: World, charge: Record, origin: Origin) -> None:
    """After a dispute or refund: warnings that can no longer be acted on are no longer `actionable`."""
    if _actionable(charge):
        return
    for warning in world.store.children(charge, "early_fraud_warning"):
        if warning.body["actionable"]:
            warning.body["actionable"] = False
            world.save(warning)
            event = "radar.early_fraud_warning.updated"
            world.outbox.emit(charge.account, event, warning.body, origin, {"actionable": True})
