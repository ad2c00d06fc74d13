"""A transaction of type 2 (EIP-1559), signed: https://eips.ethereum.org/EIPS/eip-1559

0x02 || rlp([chain_id, nonce, tip, max_fee, gas, to, value, data, access_list, y_parity, r, s])
"""

import rlp

from db.minting.nonces import ContractCall, SignedTransaction
from messages.token_ids import keccak256
from workers.minting.chain.signer import Signer
from workers.rules.gas import Fees


def sign(signer: Signer, call: ContractCall, *, chain_id: int, nonce: int, fees: Fees) -> SignedTransaction:
    """The bytes to be sent, and the hash under which the chain will know them."""
    to = bytes.fromhex(call.to[2:]) if call.to else b""  # nobody: the data is a new contract
    fields: list[object] = [chain_id, nonce, fees.tip_wei, fees.max_fee_wei, call.gas, to, 0, call.data, []]
    parity, r, s = signer.sign(keccak256(b"\x02" + rlp.encode(fields)))
    raw = b"\x02" + rlp.encode([*fields, parity, r, s])
    return SignedTransaction("0x" + keccak256(raw).hex(), raw, fees.max_fee_wei, fees.tip_wei)


def contract_address(creator: str, nonce: int) -> bytes:
    """Where a contract lies that `creator` makes with this nonce."""
    return keccak256(rlp.encode([bytes.fromhex(creator[2:]), nonce]))[-20:]
