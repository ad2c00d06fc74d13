"""submit: look -> sign -> claim -> send.

What is queued is read, and the chain is asked whether it is there already and what it would cost. Then one short
transaction moves the tickets, takes the nonce and stores the signed bytes, and only after its commit are they sent.
Killed before the commit nothing has happened; killed after it, the watch sends the same bytes. Nothing of the chain is
asked inside a transaction, and the signature is made before it too, so that a KMS may make it (M6).
"""

from collections.abc import Callable, Sequence

from loguru import logger

from db.minting import nonces, series, signers, submissions
from db.minting.mints import Mint
from db.minting.nonces import ContractCall, SignedTransaction
from db.minting.series import ResaleRoyalty, Series
from db.minting.signers import Lease
from db.minting.states import MintState
from messages.runtime.crash_points import crash_point
from messages.runtime.trace import Span
from outbox.process.metrics import CHAIN_TRANSACTIONS
from workers.minting.chain import contract
from workers.minting.chain.chain import SendResult
from workers.minting.chain.node import NodeRefusedError
from workers.minting.chain.transactions import sign
from workers.minting.context import BY, ChangedMeanwhileError, MintingBlocked, MintingContext, gwei
from workers.minting.events import tell_failed, tell_minted
from workers.minting.spans import record_waits, spans
from workers.rules.gas import Fees, GasMarket, first_fees, too_dear, with_room

# Far below EIP-7825's 16,777,216 gas for one transaction.
MOST_GAS = 16_000_000
SERIES_AT_ONCE = 20


def submit(means: MintingContext, lease: Lease) -> bool:
    """Send one transaction of each kind that is due; True when there may be more to send at once.

    Raises:
        Waiting: nothing can be sent now, and why.
        ChainAwayError: no node answers.
        LeaseLostError: another process sends now; nothing was written.
    """
    with means.db.system_transaction() as tx:
        series.renew_wishes(tx)
        submissions.adopt_wallets(tx)
        unset = series.to_look_at(tx, limit=SERIES_AT_ONCE)
        to_void = submissions.to_void(tx, limit=means.settings.chain_batch)
        room = means.settings.chain_in_flight - nonces.count_open(tx, lease)
    for each in unset if room > 0 else []:
        room -= _set_royalty(means, lease, each)
    if to_void and room > 0:
        _void(means, lease, to_void)
        room -= 1
    with means.db.system_transaction() as tx:
        queued = submissions.ready(tx, limit=means.settings.chain_batch)
    if not queued or room <= 0:
        return False
    return _mint(means, lease, queued) and room > 1


def _set_royalty(means: MintingContext, lease: Lease, wanted: Series) -> bool:
    """True when a transaction was sent for it."""
    on_chain = means.tickets.royalty(wanted.series)
    with means.db.system_transaction() as tx:
        series.note_read(tx, wanted.series, on_chain)
        data = contract.set_series_royalty(wanted.series, wanted.wanted)
        under_way = nonces.is_under_way(tx, lease, data)
    if _same(on_chain, wanted.wanted) or under_way:
        return False
    _send(means, lease, "royalty", data, gas=_estimate(means, data))
    logger.info("submitted a royalty of {} basis points", wanted.wanted_basis_points, series=wanted.series)
    return True


def _same(resale_royalty: ResaleRoyalty, other: ResaleRoyalty) -> bool:
    return (resale_royalty.receiver or "").lower() == (
        other.receiver or ""
    ).lower() and resale_royalty.basis_points == other.basis_points


def _void(means: MintingContext, lease: Lease, mints: Sequence[Mint]) -> None:
    data = contract.void_batch([mint.token_id for mint in mints])
    gas = _estimate(means, data)
    _send(means, lease, "void", data, gas=gas, carried=mints, begin=submissions.begin_voiding)


def _mint(means: MintingContext, lease: Lease, queued: Sequence[Mint]) -> bool:
    """Send what is not on the chain yet; what is there already needs nothing. True when something was sent."""
    owners = means.tickets.owners([mint.token_id for mint in queued])
    if mints := [mint for mint in queued if owners[mint.token_id] is not None]:
        _adopt(means, mints)
    missing = [mint for mint in queued if owners[mint.token_id] is None]
    if not missing:
        return False
    try:
        gas = _estimate(means, _data(missing))
    except _WouldRevertError as error:
        _find_the_bad_one(means, missing, str(error))
        return False
    if gas > MOST_GAS and len(missing) > 1:
        return _mint(means, lease, missing[: len(missing) // 2])
    _send(means, lease, "mint", _data(missing), gas=gas, carried=missing, begin=submissions.begin)
    return True


def _data(carried: Sequence[Mint]) -> bytes:
    return contract.mint_batch([mint.to_address or "" for mint in carried], [mint.token_id for mint in carried])


def _adopt(means: MintingContext, mints: Sequence[Mint]) -> None:
    """The book had forgotten that these exist: it was restored from a backup, or a slot was given up too early."""
    deep = means.chain.head().number - means.settings.chain_confirmations + 1
    owners = means.tickets.owners([mint.token_id for mint in mints], at_block=max(0, deep))
    for mint in mints:
        owner = owners[mint.token_id]
        if owner is None:  # too young to be sure of; it stays queued and is looked at again
            continue
        with means.db.system_transaction() as tx:
            if owner == mint.to_address:
                tell_minted(
                    tx, means, submissions.move(tx, [mint.token_id], MintState.CONFIRMED, by=BY, reason="found")
                )
                logger.warning("token already exists on chain, not minted again", ticket_id=mint.ticket_id)
            else:
                reason = f"its token exists already and belongs to {owner}"
                tell_failed(tx, submissions.move(tx, [mint.token_id], MintState.FAILED, by=BY, reason=reason), reason)


class _WouldRevertError(Exception):
    """The chain says in advance that the transaction would come to nothing."""


def _estimate(means: MintingContext, data: bytes) -> int:
    try:
        return with_room(means.chain.estimate_gas(means.signer.address, means.contract, data))
    except NodeRefusedError as error:
        why = contract.why(error.selector, error.message)
        if error.selector in contract.OF_THE_CONTRACT:
            raise MintingBlocked(why) from None
        if error.code == 3 or "revert" in error.message.lower():
            raise _WouldRevertError(why) from None
        raise MintingBlocked(f"the node does not estimate: {error.message}") from None


def _find_the_bad_one(means: MintingContext, carried: Sequence[Mint], why: str) -> None:
    """One ticket must not hold up the others: whichever reverts alone spends a try, and then goes alone."""
    for mint in carried:
        try:
            _estimate(means, _data([mint]))
        except _WouldRevertError as error:
            why = str(error)
        else:
            continue
        with means.db.system_transaction() as tx:
            tell_failed(tx, submissions.spend_try(tx, mint, reason=why, by=BY), why)
        logger.error("mint failed: {}", why, ticket_id=mint.ticket_id)


def _send(
    means: MintingContext,
    lease: Lease,
    kind: str,
    data: bytes,
    *,
    gas: int,
    carried: Sequence[Mint] = (),
    begin: Callable[..., int] | None = None,
) -> None:
    """Price it, sign it, claim it, and send it."""
    fees = _price(means, means.market(), gas, len(carried))
    call = ContractCall(kind, means.contract, data, gas)
    with spans(f"send {kind}", carried, kind="client") as span:
        nonce, signed = _claim(means, lease, call, fees, carried, begin)
        if kind == "mint":
            record_waits("wait for the minter", carried)
        span.note(nonce=nonce, transaction=signed.tx_hash)
        crash_point("minter.after_commit")
        note(span, offer(means, signed))
    logger.info("submitted {} of {} tokens", kind, len(carried), nonce=nonce)


def _claim(
    means: MintingContext,
    lease: Lease,
    call: ContractCall,
    fees: Fees,
    carried: Sequence[Mint],
    begin: Callable[..., int] | None,
) -> tuple[int, SignedTransaction]:
    """Sign it with the next nonce, and write both down with what is carried: from here on it will be sent."""
    on_chain = means.chain.nonce(means.signer.address)
    with means.db.system_transaction() as tx:
        nonce = max(on_chain, signers.next_nonce(tx, lease))
    signed = sign(means.signer, call, chain_id=means.chain_id, nonce=nonce, fees=fees)
    with means.db.system_transaction() as tx:
        signers.take_nonce(tx, lease, nonce)
        slot_id = nonces.record(tx, lease, nonce, call, signed)
        if begin is not None and begin(tx, carried, slot_id, by=BY) != len(carried):
            raise ChangedMeanwhileError(f"a ticket of {len(carried)} was refunded between look and claim")
        crash_point("minter.before_commit")
    return nonce, signed


def _price(means: MintingContext, market: GasMarket, gas: int, tickets: int) -> Fees:
    fees = first_fees(market, cap_wei=means.settings.max_fee_wei)
    if fees is None:
        raise MintingBlocked(f"price: a gas costs {gwei(market.price_wei)}, above {gwei(means.settings.max_fee_wei)}")
    if tickets and too_dear(market, gas=gas, mints=tickets, cap_wei=means.settings.mint_cost_wei):
        cost = gas * market.price_wei // tickets
        raise MintingBlocked(f"price: a mint costs {gwei(cost)}, above {gwei(means.settings.mint_cost_wei)}")
    return fees


def note(span: Span, result: SendResult) -> None:
    """What the node said, into the span of the sending."""
    span.note(said=result.value)
    if result in {SendResult.UNDERPRICED, SendResult.NO_FUNDS, SendResult.REFUSED}:
        span.fail(result.value)


def offer(means: MintingContext, signed: SignedTransaction) -> SendResult:
    """Send signed bytes, again or for the first time, and write down that a node has them."""
    result, words = means.chain.send(signed.raw)
    crash_point("minter.after_send")
    if result in {SendResult.TAKEN, SendResult.KNOWN}:
        with means.db.system_transaction() as tx:
            nonces.note_sent(tx, signed.tx_hash)
    else:
        logger.warning("node rejected transaction: {} ({})", result.value, words, tx_hash=signed.tx_hash)
    CHAIN_TRANSACTIONS.labels(result.value).inc()
    if result is SendResult.NO_FUNDS:
        raise MintingBlocked(f"the signer {means.signer.address} has not enough funds")
    return result
