"""What the fleet asks of an EVM chain, one verb each; in and out our own types.

Answers are never trusted further than they reach: a receipt counts only for the block it names, and whoever uses one
compares that block with the chain again later.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from messages.token_ids import checksummed, keccak256
from workers.minting.chain.node import Node, NodeRefusedError

_TRANSFER = "0x" + keccak256(b"Transfer(address,address,uint256)").hex()


@dataclass(frozen=True, slots=True)
class Block:
    """A block's height, hash and base fee (wei for one unit of gas; 0 on a chain without EIP-1559)."""

    number: int
    hash: str
    base_fee_wei: int


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """A token that changed hands in a transaction; `before` is the zero address when it was minted."""

    contract: str
    token_id: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction, in the block that it names; another block at that height makes it void.

    `succeeded` False: it was mined and reverted, and has used its nonce and `gas_used` all the same.
    """

    tx_hash: str
    succeeded: bool
    block_number: int
    block_hash: str
    gas_used: int
    transfers: tuple[TokenTransfer, ...]


class SendResult(StrEnum):
    """What a node said to a signed transaction. Only `refused` is no progress of any kind."""

    TAKEN = "taken"
    KNOWN = "known"
    NONCE_USED = "nonce_used"
    UNDERPRICED = "underpriced"
    NO_FUNDS = "no_funds"
    REFUSED = "refused"


class Chain:
    """The chain behind some nodes. Numbers are decoded here; addresses come out with their checksum.

    Every method raises ChainAwayError when no node answers, and all but `send` NodeRefusedError when one answers with
    an error.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def chain_id(self) -> int:
        return int(self._node.call("eth_chainId"), 16)

    def head(self) -> Block:
        """The newest block that the node knows; it may still be reorganised away."""
        return _block(self._node.call("eth_getBlockByNumber", "latest", False))

    def block(self, number: int) -> Block | None:
        """The block of the chain at this height; None above its head."""
        found = self._node.call("eth_getBlockByNumber", hex(number), False)
        return _block(found) if found else None

    def code_hash(self, address: str) -> str | None:
        """Keccak of the code at an address; None when there is none."""
        code = bytes.fromhex(self._node.call("eth_getCode", address, "latest")[2:])
        return "0x" + keccak256(code).hex() if code else None

    def nonce(self, address: str, *, at_block: int | None = None) -> int:
        """How many transactions of this address are in the chain, at its head or at a block."""
        return int(self._node.call("eth_getTransactionCount", address, _at(at_block)), 16)

    def balance_wei(self, address: str) -> int:
        """What an address owns at the head."""
        return int(self._node.call("eth_getBalance", address, "latest"), 16)

    def suggested_tip_wei(self) -> int:
        """The tip for one unit of gas that the node suggests for the next blocks."""
        return int(self._node.call("eth_maxPriorityFeePerGas"), 16)

    def read(self, to: str, data: bytes, *, at_block: int | None = None) -> bytes:
        """What a contract answers.

        Raises:
            NodeRefusedError: it reverted, or the node no longer knows this block.
        """
        answer = self._node.call("eth_call", {"to": to, "data": "0x" + data.hex()}, _at(at_block))
        return bytes.fromhex(answer[2:])

    def estimate_gas(self, sender: str, to: str, data: bytes) -> int:
        """Raises NodeRefusedError when the transaction would revert; its selector says with what."""
        wanted = {"from": sender, "to": to, "data": "0x" + data.hex()}
        return int(self._node.call("eth_estimateGas", wanted), 16)

    def send(self, raw: bytes) -> tuple[SendResult, str]:
        """Offer signed bytes; the same bytes may be offered any number of times.

        Returns what the node said, and its own
        words.
        """
        try:
            self._node.call("eth_sendRawTransaction", "0x" + raw.hex())
        except NodeRefusedError as error:
            return _sending(error.message.lower()), error.message
        return SendResult.TAKEN, ""

    def receipt(self, tx_hash: str) -> Receipt | None:
        """None while the chain does not hold it."""
        found = self._node.call("eth_getTransactionReceipt", tx_hash)
        return _receipt(found) if found and found.get("blockHash") else None


def _at(block: int | None) -> str:
    return "latest" if block is None else hex(block)


def _block(found: dict[str, Any]) -> Block:
    return Block(int(found["number"], 16), found["hash"], int(found.get("baseFeePerGas") or "0x0", 16))


def _receipt(found: dict[str, Any]) -> Receipt:
    return Receipt(
        tx_hash=found["transactionHash"],
        succeeded=int(found["status"], 16) == 1,
        block_number=int(found["blockNumber"], 16),
        block_hash=found["blockHash"],
        gas_used=int(found["gasUsed"], 16),
        transfers=tuple(
            TokenTransfer(checksummed(log["address"]), topics[3].lower(), _address(topics[1]), _address(topics[2]))
            for log in found["logs"]
            if len(topics := log["topics"]) == 4 and topics[0] == _TRANSFER
        ),
    )


def _address(topic: str) -> str:
    return checksummed("0x" + topic[-40:])


# geth, anvil, nethermind, besu and reth have words of their own for the same few answers.
_WORDS = (
    (SendResult.KNOWN, ("already known", "already imported", "known transaction", "already exists")),
    (SendResult.NONCE_USED, ("nonce too low", "nonce is too low", "old nonce", "nonce_too_low")),
    (
        SendResult.UNDERPRICED,
        ("underpriced", "less than block base fee", "fee too low", "max fee per gas less", "replacement"),
    ),
    (SendResult.NO_FUNDS, ("insufficient funds", "insufficient balance")),
)


def _sending(message: str) -> SendResult:
    return next((kind for kind, words in _WORDS if any(word in message for word in words)), SendResult.REFUSED)
