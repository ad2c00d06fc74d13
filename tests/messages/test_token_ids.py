"""Wallets are checked at the door, and a ticket's token id is computed from its id alone and gives it not away."""

import json
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from messages.ids import TenantId, TicketId
from messages.orders import OrderPlaced
from messages.runtime.redaction import redact_text
from messages.token_ids import VOID_ADDRESS, ZERO_ADDRESS, WalletAddress, keccak256, series_of, token_id_of
from tests.messages.test_orders import an_order

# https://eips.ethereum.org/EIPS/eip-55#test-cases
CHECKSUMMED = (
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)
WALLET: TypeAdapter[str] = TypeAdapter(WalletAddress)
TENANT = TenantId(UUID("019aa5b0-0c00-7a3e-9f1d-5b8c2f6e0a11"))
EVENT = UUID("019aa5b0-2b3c-7e4d-9f50-6b7c8d9e0f1a")
TICKET = TicketId(UUID("019aa5b2-7c81-7000-8000-0000000000a1"))


def test_keccak_is_not_sha3() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@pytest.mark.parametrize("address", CHECKSUMMED)
def test_an_address_is_taken_in_lower_case_or_with_its_checksum_and_kept_with_it(address: str) -> None:
    assert WALLET.validate_python(address) == address
    assert WALLET.validate_python("0x" + address[2:].lower()) == address


@pytest.mark.parametrize(
    "address",
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",  # the last letter
        "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
        "0x" + "g" * 40,
        ZERO_ADDRESS,
        VOID_ADDRESS,
        "vitalik.eth",
    ],
)
def test_an_address_that_nobody_can_own_or_that_was_mistyped_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        WALLET.validate_python(address)


def test_a_token_begins_with_its_event_and_hides_its_ticket() -> None:
    series = series_of(TENANT, EVENT)
    token = token_id_of(series, TICKET)

    assert (len(series), len(token)) == (2 + 16, 2 + 64)
    assert int(token, 16) >> 192 == int(series, 16)
    assert token == series + keccak256(f"ticket:{TICKET}".encode()).hex()[16:]
    assert TICKET.hex not in token
    assert series_of(TENANT, TICKET) != series


def test_an_order_that_names_no_wallet_reads_and_writes_as_before_there_were_any() -> None:
    order = OrderPlaced.model_validate_json(json.dumps(an_order()))

    written = order.model_dump(mode="json")
    assert "wallet" not in written
    assert all("wallet" not in ticket for ticket in written["tickets"])


def test_an_order_and_each_of_its_tickets_may_name_a_wallet() -> None:
    data: dict[str, Any] = an_order() | {"wallet": CHECKSUMMED[2].lower().replace("0X", "0x")}
    data["tickets"][0]["wallet"] = CHECKSUMMED[3]

    order = OrderPlaced.model_validate_json(json.dumps(data))

    assert order.wallet == CHECKSUMMED[2]
    assert [ticket.wallet for ticket in order.tickets] == [CHECKSUMMED[3], None]


def test_an_order_with_a_mistyped_wallet_is_refused_in_words() -> None:
    with pytest.raises(ValidationError, match="checksum of this address is wrong"):
        OrderPlaced.model_validate_json(
            json.dumps(an_order() | {"wallet": CHECKSUMMED[2].replace("Ed", "eD")[:-1] + "D"})
        )


def test_tokens_and_wallets_are_no_card_numbers() -> None:
    token = "0x4242424242424242" + "4000056655665556" * 3
    wallet = "0x4242424242424242400005665566555612345678"

    assert redact_text(f"{token} of {wallet}") == f"{token} of {wallet}"
