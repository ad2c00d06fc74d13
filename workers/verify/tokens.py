"""Ticket tokens (M11): paid tickets, the database and the chain.

Without a chain in the settings only tickets and database are compared; the report then has no row for the chain.
"""

from dataclasses import dataclass
from uuid import UUID

from db.minting.series import ResaleRoyalty, Series
from db.minting.verify import BookedMint
from messages.token_ids import VOID_ADDRESS
from workers.verify.report import Report

DONE = frozenset({"confirmed", "voided", "canceled"})
MOVING = frozenset({"queued", "submitted", "mined", "voiding"})


@dataclass(frozen=True, slots=True)
class OnChain:
    """The contract's state: the owner of each token in the database (None: it does not exist), and each series'
    royalty.
    """

    owners: dict[str, str | None]
    royalties: dict[str, ResaleRoyalty]


def check_tickets(report: Report, booked: list[BookedMint], unqueued: list[UUID]) -> None:
    """Each paid ticket of a minting venue is done, in progress, or waiting for an operator."""
    if not booked and not unqueued:
        return
    count = report.kinds["tickets to mint"]
    count.attempted = len(booked) + len(unqueued)
    count.done = sum(mint.state in DONE for mint in booked)
    count.waiting = sum(mint.state in MOVING for mint in booked)
    count.dead = sum(mint.state == "failed" for mint in booked)
    under_way = report.kinds["messages under way"]
    queued_soon = min(len(unqueued), under_way.waiting + under_way.dead)
    count.waiting += queued_soon
    count.lost = len(unqueued) - queued_soon
    lost = unqueued[queued_soon:]
    report.findings.extend(f"ticket {ticket} was paid but has no mint" for ticket in lost[:20])


def check_chain(report: Report, booked: list[BookedMint], series: list[Series], chain: OnChain) -> None:
    """Each token minted according to the database exists, and no other does. The owner may have changed since."""
    if not booked:
        return
    count = report.kinds["tokens"]
    for mint in booked:
        owner = chain.owners[mint.token_id]
        if mint.state in {"confirmed", "voided", "voiding"}:
            count.attempted += 1
            if owner is None:
                count.lost += 1
                report.findings.append(f"ticket {mint.ticket_id} is {mint.state}, but its token does not exist")
            elif mint.state == "voided" and owner != VOID_ADDRESS:
                count.unexpected += 1
                report.findings.append(f"ticket {mint.ticket_id} is voided, but its token belongs to {owner}")
            else:
                count.done += 1
        elif owner is not None and mint.state in {"canceled", "failed"}:
            count.unexpected += 1
            report.findings.append(f"ticket {mint.ticket_id} is {mint.state}, but its token belongs to {owner}")
    for each in series:
        resale_royalty = chain.royalties[each.series]
        if resale_royalty != each.wanted and any(mint.token_id.startswith(each.series) for mint in booked):
            _other_royalty(report, each, resale_royalty)


def _other_royalty(report: Report, series: Series, resale_royalty: ResaleRoyalty) -> None:
    count = report.kinds["royalties on the chain"]
    count.attempted += 1
    count.waiting += 1
    report.findings.append(
        f"event {series.event_id}: the contract's royalty is {resale_royalty.basis_points} bps "
        f"to {resale_royalty.receiver}, "
        f"expected {series.wanted_basis_points} bps to {series.wanted_receiver}"
    )
