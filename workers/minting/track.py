"""watch: what became of the transactions that were sent, and what must be done so that they come to an end.

For each slot: is its block still of the chain? is it deep enough? or, while it is open: has one of its signed versions
been mined? has somebody else taken its nonce? does a node still know it? does it wait too long? All of this is asked
outside of transactions; each answer then moves the slot, its tickets and what is told of them in one. A second run
finds nothing left to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from loguru import logger

from db.minting import nonces, series, signers, submissions
from db.minting.mints import Mint
from db.minting.nonces import ContractCall, Nonce, SignedTransaction, TransactionAttempt
from db.minting.series import Series
from db.minting.signers import Lease
from db.minting.states import MintState
from messages.runtime.crash_points import crash_point
from messages.token_ids import ZERO_ADDRESS
from outbox.process.metrics import CHAIN_REORGANISED, CHAIN_REPLACED
from workers.minting.chain import contract
from workers.minting.chain.chain import Block, Receipt
from workers.minting.chain.transactions import sign
from workers.minting.context import BY, MintingContext, gwei
from workers.minting.events import tell_failed, tell_minted, tell_voided
from workers.minting.spans import made_at, spans, spans_of
from workers.minting.submit import note, offer
from workers.rules.gas import Fees, bumped_fees

# Blocks that are this deep are not looked at again. Ethereum finalises after two epochs, which are as many.
DEEP = 64
# A node that has forgotten a transaction is offered it again after a part of the time in which it counts as stuck.
RESEND_PART = 0.5
FILL_GAS = 21_000


@dataclass(frozen=True, slots=True)
class _Look:
    """The chain and the database as this run sees them."""

    head: Block
    nonce: int  # of the signer: every nonce below it has been mined
    settled_nonce: int  # the same, as many blocks ago as we wait for
    attempts: dict[UUID, list[TransactionAttempt]]


def watch(means: MintingContext, lease: Lease) -> None:
    """Bring every slot that is not settled for good to where the chain says it is.

    Raises:
        Waiting: the signer has no funds.
        ChainAwayError, NodeRefusedError: the nodes do not answer; what was moved until then stays moved.
    """
    head = means.chain.head()
    with means.db.system_transaction() as tx:
        unsettled = nonces.unsettled(tx, lease, deeper_than_block=head.number - DEEP)
    if not unsettled:
        return
    reorganised = _reopen_what_was_reorganised(means, unsettled)
    with means.db.system_transaction() as tx:
        if reorganised:
            unsettled = nonces.unsettled(tx, lease, deeper_than_block=head.number - DEEP)
        attempts = nonces.attempts_of(tx, [slot.slot_id for slot in unsettled if slot.state == "open"])
    deep = max(0, head.number - means.settings.chain_confirmations + 1)
    address = means.signer.address
    look = _Look(head, means.chain.nonce(address), means.chain.nonce(address, at_block=deep), attempts)
    for slot in unsettled:
        if slot.state == "mined" and slot.block_number is not None and slot.block_number <= deep:
            _finish(means, slot)
        elif slot.state == "open" and slot.nonce < look.nonce:
            _find(means, look, slot)
    waiting = [slot for slot in unsettled if slot.state == "open" and slot.nonce >= look.nonce]
    _close_the_hole(means, lease, look, waiting)
    for slot in waiting:
        _push(means, look, slot)


# ------------------------------------------------------------------------------------------------- reorganisations


def _reopen_what_was_reorganised(means: MintingContext, unsettled: Sequence[Nonce]) -> bool:
    """A block that is no longer of the chain never happened: its slots are open again, and so are their tickets."""
    numbers = {slot.block_number for slot in unsettled if slot.block_number is not None}
    hashes = {number: means.chain.block(number) for number in numbers}
    gone = [
        slot
        for slot in unsettled
        if slot.block_number is not None
        and ((block := hashes[slot.block_number]) is None or block.hash != slot.block_hash)
    ]
    for slot in gone:
        with (
            spans_of(means, slot, f"reorganise {slot.kind}") as span,
            means.db.system_transaction() as tx,
        ):
            span.fail("reorganised")
            if nonces.reopen(tx, slot.slot_id):
                carried = [mint.token_id for mint in submissions.of_slot(tx, slot.slot_id)]
                if slot.kind == "void":
                    submissions.move(tx, carried, MintState.VOIDING, by=BY, reason="reorganised")
                else:
                    submissions.move(tx, carried, MintState.SUBMITTED, by=BY, reason="reorganised")
        CHAIN_REORGANISED.labels(slot.state).inc()
        deep = slot.state == "final"
        (logger.error if deep else logger.warning)("block {} was reorganised away", slot.block_number)
    return bool(gone)


# ------------------------------------------------------------------------------------------ what the chain has taken


def _find(means: MintingContext, look: _Look, slot: Nonce) -> None:
    """Its nonce is used: by one of our versions, or by a transaction that is not ours."""
    for attempt in reversed(look.attempts[slot.slot_id]):
        receipt = means.chain.receipt(attempt.tx_hash)
        if receipt is not None:
            return _include(means, slot, receipt)
    if slot.nonce < look.settled_nonce:
        return _give_up(means, slot)
    return None  # the node has not found it yet, or may still think otherwise


def _include(means: MintingContext, slot: Nonce, receipt: Receipt) -> None:
    of_slot = _of_slot(means, slot)
    carried = [mint for mint in of_slot if mint.state is MintState.SUBMITTED]
    existing = _existing(means, slot, receipt, carried)
    royalty = _royalty_now(means, slot)
    with (
        spans("wait for a block", of_slot, began=made_at(slot)) as span,
        means.db.system_transaction() as tx,
    ):
        block = (receipt.block_number, receipt.block_hash)
        if not nonces.mark_included(
            tx, slot, reverted=not receipt.succeeded, tx_hash=receipt.tx_hash, block=block, gas_used=receipt.gas_used
        ):
            return
        span.note(block=receipt.block_number)
        if not receipt.succeeded:
            span.fail("reverted")
            failed = submissions.come_back(tx, slot.slot_id, reason="reverted on the chain", spent_a_try=True, by=BY)
            tell_failed(tx, failed, "its transactions revert on the chain")
        elif slot.kind == "mint":
            right = [mint.token_id for mint in carried if existing.get(mint.token_id) == mint.to_address]
            submissions.move(tx, right, MintState.MINED, by=BY)
            for mint in [mint for mint in carried if mint.token_id not in right]:
                reason = f"its token belongs to {existing.get(mint.token_id) or 'nobody'}"
                tell_failed(tx, submissions.move(tx, [mint.token_id], MintState.FAILED, by=BY, reason=reason), reason)
        for wanted, on_chain in royalty:
            series.note_read(tx, wanted.series, on_chain)
        crash_point("minter.before_inclusion")
    word = "mined" if receipt.succeeded else "reverted"
    logger.info("{} {} in block {}", slot.kind, word, receipt.block_number, nonce=slot.nonce)


def _of_slot(means: MintingContext, slot: Nonce) -> list[Mint]:
    with means.db.system_transaction() as tx:
        return submissions.of_slot(tx, slot.slot_id)


def _existing(means: MintingContext, slot: Nonce, receipt: Receipt, carried: Sequence[Mint]) -> dict[str, str | None]:
    """Token -> the wallet it was minted to here, or, for one that was there before, who owns it.

    Read from the receipt first: a buyer may have passed the token on before we look.
    """
    if slot.kind != "mint" or not receipt.succeeded:
        return {}
    minted = {
        transfer.token_id: transfer.after
        for transfer in receipt.transfers
        if transfer.contract == means.contract and transfer.before == ZERO_ADDRESS
    }
    skipped = [mint.token_id for mint in carried if mint.token_id not in minted]
    return {**minted, **(means.tickets.owners(skipped) if skipped else {})}


def _royalty_now(means: MintingContext, slot: Nonce) -> list[tuple[Series, series.ResaleRoyalty]]:
    if slot.kind != "royalty":
        return []
    with means.db.system_transaction() as tx:
        unset = series.to_look_at(tx, limit=1_000)
    mine = [each for each in unset if contract.set_series_royalty(each.series, each.wanted) == slot.data]
    return [(each, means.tickets.royalty(each.series)) for each in mine]


def _give_up(means: MintingContext, slot: Nonce) -> None:
    """Somebody else signs with our key. Its tickets are queued again; should both land, the contract skips one."""
    with (
        spans_of(means, slot, f"lose {slot.kind}") as span,
        means.db.system_transaction() as tx,
    ):
        span.fail("nonce used elsewhere")
        if nonces.mark_lost(tx, slot.slot_id):
            submissions.come_back(tx, slot.slot_id, reason="its nonce was used elsewhere", spent_a_try=False, by=BY)
    logger.error("nonce was used by a foreign transaction: check who else has the signing key", nonce=slot.nonce)


def _finish(means: MintingContext, slot: Nonce) -> None:
    """Deep enough: what it did is done, if the chain itself still says so."""
    assert slot.mined_hash is not None, "the database holds mined slots to it"
    receipt = means.chain.receipt(slot.mined_hash)
    if receipt is None or receipt.block_hash != slot.block_hash:
        return  # two answers that do not fit together: the next look will tell
    carried = _of_slot(means, slot)
    owners = means.tickets.owners([mint.token_id for mint in carried]) if carried else {}
    if absent := [mint.ticket_id for mint in carried if owners[mint.token_id] is None]:
        logger.error("transaction mined, but tokens {} do not exist: checking again", absent, nonce=slot.nonce)
        return
    with means.db.system_transaction() as tx:
        if nonces.mark_final(tx, slot.slot_id):
            tokens = [mint.token_id for mint in carried]
            if slot.kind == "mint":
                mined = max((mint.state_since for mint in carried), default=None)
                tell_minted(tx, means, submissions.move(tx, tokens, MintState.CONFIRMED, by=BY), mined=mined)
            elif slot.kind == "void":
                tell_voided(tx, means, submissions.move(tx, tokens, MintState.VOIDED, by=BY))
        crash_point("minter.before_final")


# ------------------------------------------------------------------------------------------------ what still waits


def _push(means: MintingContext, look: _Look, slot: Nonce) -> None:
    """Offer it again when a node may have forgotten it; first in line and stuck, a dearer one takes its place."""
    last = look.attempts[slot.slot_id][-1]
    patience = means.settings.chain_stuck_seconds
    if slot.nonce == look.nonce and last.made_seconds_ago > patience and _replace(means, slot, last):
        return
    if last.sent_seconds_ago is None or last.sent_seconds_ago > patience * RESEND_PART:
        with spans_of(means, slot, f"offer {slot.kind} again", kind="client") as span:
            note(span, offer(means, SignedTransaction(last.tx_hash, last.raw, last.max_fee_wei, last.tip_wei)))


def _replace(means: MintingContext, slot: Nonce, last: TransactionAttempt) -> bool:
    fees = bumped_fees(Fees(last.max_fee_wei, last.tip_wei), means.market(), cap_wei=means.settings.max_fee_wei)
    if fees is None:
        logger.warning(
            "transaction stuck, a replacement would exceed {}", gwei(means.settings.max_fee_wei), nonce=slot.nonce
        )
        return False
    call = ContractCall(slot.kind, slot.to_address, slot.data, slot.gas)
    signed = sign(means.signer, call, chain_id=means.chain_id, nonce=slot.nonce, fees=fees)
    with spans_of(means, slot, f"replace {slot.kind}", kind="client") as span:
        span.note(nonce=slot.nonce, transaction=signed.tx_hash, replaced=last.tx_hash)
        with means.db.system_transaction() as tx:
            nonces.add_attempt(tx, slot.slot_id, signed)
            crash_point("minter.before_replacing")
        note(span, offer(means, signed))
    CHAIN_REPLACED.inc()
    logger.info("stuck transaction replaced with a fee of {} per gas", gwei(fees.max_fee_wei), nonce=slot.nonce)
    return True


def _close_the_hole(means: MintingContext, lease: Lease, look: _Look, waiting: Sequence[Nonce]) -> None:
    """Nothing behind a nonce that nobody used can ever be mined: use it, with what had it before, or with nothing."""
    if not waiting or waiting[0].nonce == look.nonce:
        return
    for nonce in range(look.nonce, waiting[0].nonce):
        with means.db.system_transaction() as tx:
            before = nonces.at_nonce(tx, lease, nonce)
            if before is not None:
                nonces.reopen(tx, before.slot_id)
        if before is None:
            _fill(means, lease, nonce)
        logger.warning("unused nonce filled", nonce=nonce)


def _fill(means: MintingContext, lease: Lease, nonce: int) -> None:
    """A transaction from the signer to itself that moves nothing."""
    market = means.market()
    call = ContractCall("fill", means.signer.address, b"", FILL_GAS)
    fees = Fees(2 * market.base_fee_wei + market.tip_wei, market.tip_wei)
    signed = sign(means.signer, call, chain_id=means.chain_id, nonce=nonce, fees=fees)
    with means.db.system_transaction() as tx:
        signers.still_held(tx, lease)
        nonces.record(tx, lease, nonce, call, signed)
    offer(means, signed)
