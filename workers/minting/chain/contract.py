"""The ticket contract (deploy/chain/Tickets.sol) in its own words: calls as bytes, answers and refusals as values."""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi.abi import decode, encode

from db.minting.series import ResaleRoyalty
from messages.token_ids import ZERO_ADDRESS, checksummed, keccak256
from workers.minting.chain.chain import Chain


def _selector(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


_MINT_BATCH = _selector("mintBatch(address[],uint256[])")
_VOID_BATCH = _selector("voidBatch(uint256[])")
_SET_ROYALTY = _selector("setSeriesRoyalty(uint64,address,uint96)")
_SERIES_ROYALTY = _selector("seriesRoyalty(uint64)")
_OWNER_OR_ZERO = _selector("ownerOrZero(uint256[])")

# What the contract can revert with, for people.
_REFUSALS = {
    "0x" + _selector(signature).hex(): sentence
    for signature, sentence in {
        "AccessControlUnauthorizedAccount(address,bytes32)": "the signer has lost the contract's minter role",
        "EnforcedPause()": "the contract is paused",
        "ERC721NonexistentToken(uint256)": "a token that is to be voided does not exist",
        "ERC721InvalidReceiver(address)": "a wallet cannot own tokens",
        "RoyaltyTooHigh(uint96)": "the royalty is above 100 %",
    }.items()
}
# These concern every ticket alike: nothing is wrong with any of them, and all of them wait.
OF_THE_CONTRACT = frozenset(
    "0x" + _selector(signature).hex()
    for signature in ("AccessControlUnauthorizedAccount(address,bytes32)", "EnforcedPause()")
)


def why(selector: str, message: str) -> str:
    """A revert in a sentence."""
    return _REFUSALS.get(selector) or f"the contract reverts: {selector or message}"


def mint_batch(owners: Sequence[str], token_ids: Sequence[str]) -> bytes:
    """The call that mints token n for owner n. One ticket that reverts makes the whole batch revert."""
    return _MINT_BATCH + encode(["address[]", "uint256[]"], [list(owners), _numbers(token_ids)])


def void_batch(token_ids: Sequence[str]) -> bytes:
    """The call that voids these tokens, whoever owns them."""
    return _VOID_BATCH + encode(["uint256[]"], [_numbers(token_ids)])


def set_series_royalty(series: str, royalty: ResaleRoyalty) -> bytes:
    """The call that sets an event's royalty; no receiver is the zero address."""
    receiver = royalty.receiver or ZERO_ADDRESS
    return _SET_ROYALTY + encode(["uint64", "address", "uint96"], [int(series, 16), receiver, royalty.basis_points])


@dataclass(frozen=True, slots=True)
class Tickets:
    """The contract at its address, to be read."""

    chain: Chain
    address: str

    def owners(self, token_ids: Sequence[str], *, at_block: int | None = None) -> dict[str, str | None]:
        """Token -> who owns it; None when it was never minted."""
        data = _OWNER_OR_ZERO + encode(["uint256[]"], [_numbers(token_ids)])
        (owners,) = decode(["address[]"], self.chain.read(self.address, data, at_block=at_block))
        return {
            token_id: None if owner == ZERO_ADDRESS else checksummed(owner)
            for token_id, owner in zip(token_ids, owners, strict=True)
        }

    def royalty(self, series: str) -> ResaleRoyalty:
        """The royalty of an event as the chain has it at its head; zero for an event that has none."""
        data = _SERIES_ROYALTY + encode(["uint64"], [int(series, 16)])
        receiver, basis_points = decode(["address", "uint96"], self.chain.read(self.address, data))
        return ResaleRoyalty(None if receiver == ZERO_ADDRESS else checksummed(receiver), basis_points)


def _numbers(token_ids: Sequence[str]) -> list[int]:
    return [int(token_id, 16) for token_id in token_ids]
