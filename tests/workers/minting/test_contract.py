"""The contract: what is committed is what its source compiles to, and it keeps the promises the fleet builds on."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from db.minting.series import ResaleRoyalty
from deploy.local.stack.chain import CONTRACT, PACKAGES
from deploy.local.stack.stack import CLONE
from messages.token_ids import VOID_ADDRESS
from tests.workers.minting.conftest import BUYER, ROYALTY, Chain
from workers.minting.chain import contract
from workers.minting.chain.chain import Chain as Gateway
from workers.minting.chain.contract import Tickets
from workers.minting.chain.node import NodeRefusedError

SERIES = "0x" + "5e" * 8
ONE, TWO = SERIES + "01" * 24, SERIES + "02" * 24


@pytest.mark.skipif(
    shutil.which("node") is None or not (PACKAGES / "solc").is_dir(),
    reason="no Node.js or no compiler: `make chain` installs it where npm is there",
)
def test_the_committed_contract_is_its_source_compiled_byte_for_byte(tmp_path: Path) -> None:
    built = tmp_path / "Tickets.json"
    environment = {"NODE_PATH": str(PACKAGES), "PATH": str(Path(shutil.which("node") or "").parent)}

    subprocess.run(["node", CLONE / "deploy" / "chain" / "build.js", built], env=environment, check=True, timeout=120)

    assert built.read_bytes() == CONTRACT.read_bytes()


def test_the_versions_of_the_committed_contract_are_those_of_the_lock() -> None:
    lock = json.loads((CLONE / "deploy" / "chain" / "package-lock.json").read_text())["packages"]
    built = json.loads(CONTRACT.read_text())

    assert built["compiler"].startswith(lock["node_modules/solc"]["version"] + "+")
    assert built["openzeppelin"] == lock["node_modules/@openzeppelin/contracts"]["version"]
    assert all("integrity" in package for name, package in lock.items() if name)


def test_a_batch_skips_what_exists_and_a_second_mint_alone_reverts(chain: Chain, tickets: Tickets) -> None:
    sent(chain, contract.mint_batch([BUYER], [ONE]))
    sent(chain, contract.mint_batch([ROYALTY, ROYALTY], [ONE, TWO]))

    assert tickets.owners([ONE, TWO]) == {ONE: BUYER, TWO: ROYALTY}
    with pytest.raises(NodeRefusedError) as refused:
        estimate(chain, "0x40c10f19" + BUYER[2:].lower().rjust(64, "0") + ONE[2:])  # mint(address,uint256)
    assert refused.value.selector == "0x73c6ac6e"  # ERC721InvalidSender(address)


def test_a_voided_token_can_be_minted_or_moved_by_nobody(chain: Chain, tickets: Tickets) -> None:
    sent(chain, contract.mint_batch([BUYER, BUYER], [ONE, TWO]))
    sent(chain, contract.void_batch([ONE]))
    sent(chain, contract.void_batch([ONE]))
    sent(chain, contract.mint_batch([BUYER], [ONE]))

    assert tickets.owners([ONE, TWO]) == {ONE: VOID_ADDRESS, TWO: BUYER}


def test_what_was_never_minted_cannot_be_voided(chain: Chain) -> None:
    with pytest.raises(NodeRefusedError) as refused:
        estimate(chain, "0x" + contract.void_batch([ONE]).hex())

    assert contract.why(refused.value.selector, "") == "a token that is to be voided does not exist"


def test_royalties_are_kept_for_each_series_and_read_as_erc2981(chain: Chain, tickets: Tickets) -> None:
    sent(chain, contract.set_series_royalty(SERIES, ResaleRoyalty(ROYALTY, 750)))

    assert tickets.royalty(SERIES) == ResaleRoyalty(ROYALTY, 750)
    assert chain.royalty_of(ONE, price=20_000) == (ROYALTY, 1_500)
    assert tickets.royalty("0x" + "00" * 8) == ResaleRoyalty(None, 0)


def test_it_says_that_it_is_erc721_and_erc2981(chain: Chain) -> None:
    for interface, said in (("80ac58cd", 1), ("2a55205a", 1), ("ffffffff", 0)):
        asked = {"to": chain.server.contract, "data": "0x01ffc9a7" + interface.ljust(64, "0")}
        assert int(chain.rpc("eth_call", asked, "latest"), 16) == said


@pytest.mark.parametrize(
    "data",
    [
        contract.mint_batch([BUYER], [ONE]),
        contract.void_batch([ONE]),
        contract.set_series_royalty(SERIES, ResaleRoyalty(BUYER, 1)),
    ],
    ids=["mint", "void", "royalty"],
)
def test_nobody_but_the_minter_can_do_any_of_it(chain: Chain, data: bytes) -> None:
    with pytest.raises(NodeRefusedError) as refused:
        estimate(chain, "0x" + data.hex(), sender=BUYER)

    assert refused.value.selector in contract.OF_THE_CONTRACT


def test_a_paused_contract_mints_nothing(chain: Chain) -> None:
    sent(chain, bytes.fromhex("8456cb59"))  # pause()

    with pytest.raises(NodeRefusedError) as refused:
        estimate(chain, "0x" + contract.mint_batch([BUYER], [ONE]).hex())

    assert contract.why(refused.value.selector, "") == "the contract is paused"


@pytest.fixture
def tickets(chain: Chain) -> Tickets:
    return Tickets(Gateway(chain.server.node), chain.server.contract)


def sent(chain: Chain, data: bytes) -> None:
    chain.send(data)
    chain.mine()


def estimate(chain: Chain, data: str, *, sender: str | None = None) -> Any:
    asked = {"from": sender or chain.server.signer.address, "to": chain.server.contract, "data": data}
    return chain.rpc("eth_estimateGas", asked)
