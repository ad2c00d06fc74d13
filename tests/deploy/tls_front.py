"""TLS before a server that has none: the servers of the one-machine stack were built without it.

Terminates TLS with a certificate for `localhost` by an authority of the test's own, and hands the bytes on.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

POSTGRES_SSL_REQUEST = 8  # bytes, before TLS begins; the answer is one S


@dataclass(frozen=True)
class Authority:
    ca: Path
    certificate: Path
    key: Path


def authority(directory: Path, name: str) -> Authority:
    """A new authority, and a certificate for localhost that it signed."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = datetime.now(UTC) - timedelta(hours=1)

    def signed(subject: x509.Name, public: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> bytes:
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=1))
            .add_extension(extension, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    made = Authority(directory / f"{name}-ca.pem", directory / f"{name}.pem", directory / f"{name}.key")
    made.ca.write_bytes(signed(issuer, ca_key.public_key(), x509.BasicConstraints(ca=True, path_length=0)))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made.certificate.write_bytes(signed(subject, key.public_key(), names))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made


@contextmanager
def tls_front(server_port: int, own: Authority, *, postgres: bool = False) -> Iterator[int]:
    """Yields the port that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        def serve(client: socket.socket) -> None:
            with suppress(OSError), client, socket.create_connection(("127.0.0.1", server_port)) as server:
                if postgres:
                    client.recv(POSTGRES_SSL_REQUEST)
                    client.sendall(b"S")
                with context.wrap_socket(client, server_side=True) as wrapped:
                    _pass_on(wrapped, server)

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]


def _pass_on(client: ssl.SSLSocket, server: socket.socket) -> None:
    """Both ways, until either end is done."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=pump, args=(server, client), daemon=True)
    back.start()
    pump(client, server)
    back.join(5)
