"""Tokens: a contract that is paused, a chain that stands still, a ticket minted past the fleet, a signer without funds.

Somebody else holds the contract's roles beside the fleet's signer here, as an admin would. The minter is stopped while
the signer grants them, because a signer's nonces are the minter's alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deploy.local.proofs.alerts.provoking.provocation import Provocation, give_back, orders, stopped
from deploy.local.proofs.alerts.scene import Scene
from deploy.local.scenario.minting import wallet
from deploy.local.stack.chain import FUNDS_WEI
from messages.ids import PaymentId, TenantId
from messages.token_ids import keccak256

SOMEBODY = wallet("somebody else")
LITTLE_WEI = 10**16  # enough for mints, and below CHAIN_LOW_BALANCE_GWEI
ADMIN, MINTER = bytes(32), keccak256(b"MINTER_ROLE")


@contextmanager
def _paused(scene: Scene) -> Iterator[None]:
    _let_somebody_in(scene)
    _do(scene, SOMEBODY, "pause()")
    yield
    _do(scene, SOMEBODY, "unpause()")


@contextmanager
def _no_blocks(scene: Scene) -> Iterator[None]:
    _ask(scene, "evm_setIntervalMining", 0)
    yield
    _ask(scene, "evm_setIntervalMining", 1)


@contextmanager
def _minted_past_the_fleet(scene: Scene) -> Iterator[None]:
    """A ticket is paid while the minter is away, and somebody mints it into a wallet of their own."""
    _let_somebody_in(scene)
    with stopped("minter")(scene):
        scene.order(1)
        token_id = scene.wait_one("SELECT token_id FROM mints WHERE state = 'queued' ORDER BY created_at DESC LIMIT 1")
        _mint_for_somebody(scene, token_id)
    yield
    row = scene.rows("SELECT tenant_id, payment_id FROM mints WHERE token_id = %s", token_id)[0]
    give_back(scene, TenantId(row[0]), PaymentId(row[1]))


@contextmanager
def _funds_gone(scene: Scene) -> Iterator[None]:
    signer = scene.fleet.stack.chain.signer.address
    _ask(scene, "anvil_setBalance", signer, hex(LITTLE_WEI))
    yield
    _ask(scene, "anvil_setBalance", signer, hex(FUNDS_WEI))


def _let_somebody_in(scene: Scene) -> None:
    signer = scene.fleet.stack.chain.signer.address
    for address in (signer, SOMEBODY):
        _ask(scene, "anvil_impersonateAccount", address)
    _ask(scene, "anvil_setBalance", SOMEBODY, hex(FUNDS_WEI))
    with stopped("minter")(scene):
        for role in (ADMIN, MINTER):
            _do(scene, signer, "grantRole(bytes32,address)", ["bytes32", "address"], [role, SOMEBODY])


def _mint_for_somebody(scene: Scene, token_id: str) -> None:
    _do(scene, SOMEBODY, "mint(address,uint256)", ["address", "uint256"], [SOMEBODY, int(token_id, 16)])


def _do(
    scene: Scene, sender: str, signature: str, types: list[str] | None = None, words: list[Any] | None = None
) -> None:
    """Call the contract, and wait for the block that has it."""
    from eth_abi.abi import encode  # noqa: PLC0415  needs the extra `nft`

    data = keccak256(signature.encode())[:4] + encode(types or [], words or [])
    call = {"from": sender, "to": scene.fleet.stack.chain.contract, "data": "0x" + data.hex()}
    tx_hash = _ask(scene, "eth_sendTransaction", call)
    receipt = scene.wait_until(lambda: _ask(scene, "eth_getTransactionReceipt", tx_hash), f"{signature} is in a block")
    assert receipt["status"] == "0x1", f"{signature} was refused"


def _ask(scene: Scene, method: str, *words: Any) -> Any:
    return scene.fleet.stack.chain.node.call(method, *words)


PROVOCATIONS = (
    Provocation("the contract's admin pauses it", frozenset({"FleetMintsHeldUp"}), _paused, orders),
    Provocation("the chain makes no blocks", frozenset({"FleetMintsStand"}), _no_blocks, orders),
    Provocation(
        "somebody mints a paid ticket outside the fleet",
        frozenset({"FleetMintsFailed"}),
        _minted_past_the_fleet,
    ),
    Provocation("the signer's balance is nearly gone", frozenset({"FleetMinterLowOnFunds"}), _funds_gone),
)
