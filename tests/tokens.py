"""Tokens as an identity provider would give them out, and some that it never would."""

import base64
import hmac
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER, AUDIENCE = "https://id.example", "fleet-console"


@dataclass(frozen=True)
class Keys:
    public_file: Path
    private_file: Path

    @property
    def private(self) -> bytes:
        return self.private_file.read_bytes()


def new_keys(folder: Path, *, bits: int = 2048) -> Keys:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    keys = Keys(folder / f"public-{bits}.pem", folder / f"private-{bits}.pem")
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    keys.private_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    keys.public_file.write_bytes(key.public_key().public_bytes(pem, form))
    return keys


def token(keys: Keys, *, algorithm: str = "RS256", key: Any = None, without: str = "", **changes: Any) -> str:
    """A good token for a reader, unless something is changed or left out."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "rita",
        "iat": now,
        "exp": now + 600,
        "roles": ["reader"],
    } | changes
    claims.pop(without, None)
    return jwt.encode(claims, keys.private if key is None else key, algorithm=algorithm)


def hs256_by_hand(token: str, key: bytes) -> str:
    """The old trick: a token that says HS256, with the public key as its secret; the library refuses to make one."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    body = f"{head}.{token.split('.')[1]}"
    signature = base64.urlsafe_b64encode(hmac.digest(key, body.encode(), "sha256")).rstrip(b"=").decode()
    return f"{body}.{signature}"
