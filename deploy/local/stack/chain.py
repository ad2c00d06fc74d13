"""The local chain: anvil, from npm, as another server of the stack, with the ticket contract deployed on it.

Its binary is put under `.local/chain` by `make` (deploy/local/setup.sh); where that could not be done there is no
chain, the demo says so, and mints wait. Chain and contract live in a file of the stack's directory, so that a stop or a
kill keeps them. The key of the minter is made here for each stack and lies in a file that only its owner can read;
anvil's own keys, which everybody knows, are switched off.
"""

from __future__ import annotations

import json
import platform
import secrets
import subprocess
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from deploy.local.stack import processes
from deploy.local.stack.memory import Memory
from deploy.local.stack.server import Server, ServerFailedError
from messages.token_ids import checksummed

if TYPE_CHECKING:
    from workers.minting.chain.node import Node
    from workers.minting.chain.signer import KeyFileSigner

CLONE = Path(__file__).resolve().parents[3]
PACKAGES = CLONE / ".local" / "chain" / "node_modules"
CONTRACT = CLONE / "deploy" / "chain" / "Tickets.json"
CHAIN_ID = 31_337
FUNDS_WEI = 10**22
DEPLOY_GAS = 3_000_000
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def anvil_binary() -> Path | None:
    """The native binary; None when it could not be had on this machine."""
    machine = _ARCHITECTURES.get(platform.machine().lower(), "unknown")
    path = PACKAGES / f"@foundry-rs/anvil-{platform.system().lower()}-{machine}" / "bin" / "anvil"
    return path if path.exists() else None


class Chain(Server):
    """`mining`: a block each second by itself, or only when somebody asks for one (as fault tests must)."""

    name = "chain"
    stop_seconds = 5.0

    def __init__(self, directory: Path, memory: Memory, *, mining: bool = True, keep: bool = True) -> None:
        super().__init__(directory, memory)
        self._mining = mining
        self._keep = keep

    @property
    def is_there(self) -> bool:
        return anvil_binary() is not None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key_file(self) -> Path:
        return self.stack_directory / "chain_signer.key"

    @cached_property
    def signer(self) -> KeyFileSigner:
        """The minter's key, made at the first use."""
        from workers.minting.chain.signer import KeyFileSigner  # noqa: PLC0415  needs the extra `nft`

        if not self.key_file.exists():
            self.stack_directory.mkdir(parents=True, exist_ok=True)
            self.key_file.touch(mode=0o600)
            self.key_file.write_text(secrets.token_hex(32))
        return KeyFileSigner(self.key_file)

    @property
    def contract(self) -> str:
        """Where the contract lies: whoever makes it with its first transaction decides that."""
        from workers.minting.chain.transactions import contract_address  # noqa: PLC0415  needs the extra `nft`

        return checksummed("0x" + contract_address(self.signer.address, 0).hex())

    @cached_property
    def node(self) -> Node:
        from workers.minting.chain.node import Node  # noqa: PLC0415  nobody else of the stack needs it

        return Node([SecretStr(self.url)], timeout_seconds=10)

    def environment(self) -> dict[str, str]:
        """What the minter gets; nothing when there is no chain."""
        if not self.is_there:
            return {}
        return {
            "CHAIN_RPC_URLS": self.url,
            "CHAIN_ID": str(CHAIN_ID),
            "CHAIN_CONTRACT": self.contract,
            "CHAIN_SIGNER_KEY_FILE": str(self.key_file),
            "CHAIN_CONFIRMATIONS": "3",
        }

    def _spawn(self, output: int) -> subprocess.Popen[bytes]:
        binary = anvil_binary()
        assert binary is not None, "`servers` names the chain only where it is there"
        words: list[str | Path] = [binary, "--host", "127.0.0.1", "--port", str(self.port), "--silent"]
        words += ["--chain-id", str(CHAIN_ID), "--accounts", "0"]
        words += ["--block-time", "1"] if self._mining else ["--no-mining"]
        if self._keep:
            words += ["--state", self.directory / "state.json", "--state-interval", "1"]
            words += ["--timestamp", str(self._genesis_timestamp())]
        return processes.spawn(words, self.stack_directory, output=output)

    def _genesis_timestamp(self) -> int:
        """Seconds since 1970, chosen at the first start and kept beside the state.

        Each start of anvil adds a genesis block of its own to the state, and whichever it reads back is block 0 from
        then on. Only with the same timestamp is it always the same block; else the minter meets a chain that it does
        not know, and mints nothing more.
        """
        kept = self.directory / "genesis_timestamp"
        if not kept.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            kept.write_text(str(int(time.time())))
        return int(kept.read_text())

    def _answers(self) -> bool:
        from workers.minting.chain.node import ChainAwayError  # noqa: PLC0415

        try:
            return bool(self.node.call("web3_clientVersion"))
        except ChainAwayError:
            return False

    def _settle(self) -> None:
        """Bring the chain's clock to now, fund the minter, and deploy the contract unless it is there."""
        if self._keep:  # its clock goes on where the last block left it
            self.node.call("evm_setTime", hex(int(time.time())))
        if self.node.call("eth_getCode", self.contract, "latest") != "0x":
            return
        self.node.call("anvil_setBalance", self.signer.address, hex(FUNDS_WEI))
        self._deploy()

    def _deploy(self) -> None:
        from eth_abi.abi import encode  # noqa: PLC0415

        from db.minting.nonces import ContractCall  # noqa: PLC0415
        from workers.minting.chain.transactions import sign  # noqa: PLC0415
        from workers.rules.gas import GWEI, Fees  # noqa: PLC0415

        built = json.loads(CONTRACT.read_text())
        arguments = encode(
            ["string", "string", "string", "address"],
            ["Tickets", "TICKET", "https://tickets.invalid/", self.signer.address],
        )
        call = ContractCall("deploy", "", bytes.fromhex(built["bytecode"][2:]) + arguments, DEPLOY_GAS)
        signed = sign(self.signer, call, chain_id=CHAIN_ID, nonce=0, fees=Fees(10 * GWEI, GWEI))
        self.node.call("eth_sendRawTransaction", "0x" + signed.raw.hex())
        if not self._mining:
            self.node.call("evm_mine")
        deadline = time.monotonic() + 10
        while not (receipt := self.node.call("eth_getTransactionReceipt", signed.tx_hash)):
            if time.monotonic() > deadline:
                raise ServerFailedError(self._story("did not take the contract"))
            time.sleep(0.05)
        if receipt["status"] != "0x1":
            raise ServerFailedError(self._story("refused the contract"))
