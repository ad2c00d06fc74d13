"""Which chain, which contract, who signs, and what a mint may cost. Read by the minter alone: no other process can
even find the key.
"""

import os
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from messages.runtime import crash_points
from messages.runtime.settings import FleetSettings, require_address, require_tls
from messages.token_ids import checksummed
from workers.rules.gas import GWEI


class ContractSettings(FleetSettings):
    """Where the ticket contract is. Set the first three or none; without them nothing is minted."""

    chain_rpc_urls: SecretStr | None = Field(
        default=None, description="addresses of the chain's nodes, separated by commas; the first is used first"
    )
    chain_id: int | None = Field(
        default=None, ge=1, description="the id of the chain; a node of another chain is refused"
    )
    chain_contract: str | None = Field(
        default=None,
        pattern=r"^0x[0-9A-Fa-f]{40}$",
        description="the address of the ticket contract, 0x and 40 hexadecimal digits",
    )
    chain_rpc_timeout_seconds: float = Field(default=5.0, gt=0, le=30, description="seconds to wait for one node")

    _together: ClassVar[tuple[str, ...]] = ("chain_rpc_urls", "chain_id", "chain_contract")

    @property
    def is_configured(self) -> bool:
        """False when no chain is set at all; half a chain does not start."""
        return self.chain_rpc_urls is not None

    @property
    def nodes(self) -> list[SecretStr]:
        """The addresses, in the order in which they are tried; they may hold a key of the provider, so they stay
        secret.
        """
        assert self.chain_rpc_urls is not None, "ask `is_configured` first"
        return [SecretStr(url) for url in _split(self.chain_rpc_urls)]

    @field_validator("chain_rpc_urls", "chain_id", "chain_contract", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("chain_contract")
    @classmethod
    def _checksummed(cls, address: str | None, _info: ValidationInfo) -> str | None:
        return None if address is None else checksummed(address)

    @model_validator(mode="after")
    def _all_or_nothing_and_safe(self) -> Self:
        missing = [name.upper() for name in self._together if getattr(self, name) is None]
        if 0 < len(missing) < len(self._together):
            raise ValueError(f"half a chain is configured: set {', '.join(missing)} too, or none of them.")
        if self.chain_rpc_urls is not None:
            for url in _split(self.chain_rpc_urls):
                self._check_address(url)
        return self

    def _check_address(self, url: str) -> None:
        host = urlsplit(url).hostname
        try:
            require_address(url, ("http", "https"))
            if self.in_production:
                require_tls(url, ("https",))
        except ValueError as error:
            raise ValueError(f"CHAIN_RPC_URLS: {host}: {error}.") from None
        if not host:
            raise ValueError("CHAIN_RPC_URLS: an address names no host.")


class ChainSettings(ContractSettings):
    """The signer's key, and what a mint may cost. Without the chain, the contract and the key, mints wait, and
    `fleet mint list` says so.
    """

    chain_signer_key_file: Path | None = Field(
        default=None, description="file of mode 600 with the private key of the contract's minter"
    )
    chain_confirmations: int = Field(
        default=12, ge=1, le=64, description="blocks, its own included, after which a mint is final"
    )
    chain_poll_seconds: float = Field(default=1.0, gt=0, le=60, description="seconds between two rounds of the minter")
    chain_max_fee_gwei: float = Field(
        default=200.0, gt=0, le=10**6, description="highest price of one unit of gas, in gwei; above it, mints wait"
    )
    chain_mint_cost_gwei: float = Field(
        default=10**7, gt=0, le=10**9, description="highest cost of one mint, in gwei; above it, mints wait"
    )
    chain_batch: int = Field(default=100, ge=1, le=250, description="most tickets in one transaction")
    chain_in_flight: int = Field(
        default=16,
        ge=1,
        le=64,
        description="most transactions waiting to be mined at a time; geth keeps 16 per account",
    )
    chain_stuck_seconds: float = Field(
        default=60.0, gt=0, description="seconds after which a pending transaction is replaced by one with a higher fee"
    )
    chain_low_balance_gwei: float = Field(
        default=5 * 10**7, ge=0, description="balance of the signer, in gwei, below which the alert fires"
    )
    chain_lease_seconds: float = Field(
        default=15.0, gt=0, description="seconds for which a minter that died blocks the next one"
    )

    _together: ClassVar[tuple[str, ...]] = (*ContractSettings._together, "chain_signer_key_file")

    @property
    def max_fee_wei(self) -> int:
        return int(self.chain_max_fee_gwei * GWEI)

    @property
    def mint_cost_wei(self) -> int:
        return int(self.chain_mint_cost_gwei * GWEI)

    @field_validator("chain_signer_key_file", mode="before")
    @classmethod
    def _no_file_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.in_production and os.environ.get(crash_points.VARIABLE):
            raise ValueError(f"{crash_points.VARIABLE} is set: production does not crash on purpose; unset it.")
        return self


def _split(urls: SecretStr) -> list[str]:
    return [url.strip() for url in urls.get_secret_value().split(",") if url.strip()]
