"""Wallet addresses and token ids. A ticket's token id is computed from our own ids alone.

    token id = series << 192 | 192 bits of Keccak-256("ticket:" + ticket id)      series = 64 bits of the event

A ticket's id may grant admission, so only its hash is published. A ticket always has the same token id, which makes a
second mint impossible (M11). Both are stored as hexadecimal text, because no column type holds 256 bits.
"""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

from messages.ids import TenantId, TicketId

# Where refunded tickets go, once and for all; and the address that nobody can own.
VOID_ADDRESS = "0x000000000000000000000000000000000000dEaD"
ZERO_ADDRESS = "0x" + "0" * 40


def keccak256(data: bytes) -> bytes:
    """Ethereum's hash: Keccak before it became SHA-3, which differs in one byte of padding and so in every digest."""
    from Crypto.Hash import keccak  # noqa: PLC0415  a tenth of the start of every process, and most never hash

    return keccak.new(digest_bits=256, data=data).digest()


def checksummed(address: str) -> str:
    """The address as EIP-55 writes it: the case of its letters is a checksum."""
    digits = address[2:].lower()
    digest = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits, digest, strict=False)
    )


def _wallet(address: str) -> str:
    digits = address[2:]
    if digits not in {digits.lower(), digits.upper()} and address != checksummed(address):
        raise ValueError("the checksum of this address is wrong (EIP-55): a letter was mistyped or changed its case")
    address = checksummed(address)
    if address in {ZERO_ADDRESS, VOID_ADDRESS}:
        raise ValueError("nobody owns this address: a token sent there is lost")
    return address


# An address somebody can own. Mixed case must fit its checksum; one case alone carries none and is taken as it is.
WalletAddress = Annotated[str, StringConstraints(pattern=r"^0x[0-9A-Fa-f]{40}$"), AfterValidator(_wallet)]


def series_of(tenant_id: TenantId, event_id: UUID) -> str:
    """The 64 bits that all tokens of an event begin with, as 0x and 16 digits."""
    return "0x" + keccak256(f"series:{tenant_id}:{event_id}".encode())[:8].hex()


def token_id_of(series: str, ticket_id: TicketId) -> str:
    """The token of a ticket, as 0x and 64 digits."""
    return series + keccak256(f"ticket:{ticket_id}".encode())[8:].hex()
