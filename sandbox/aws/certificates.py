"""Certificates for the addresses of ECR, by an authority that lives as long as the process.

Owns the authority and what it has signed, in a folder that its caller removes. Nobody trusts it but
clients that are given its file (`SSL_CERT_FILE`).
"""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

_DAY: Final = dt.timedelta(days=1)


class Authority:
    """Signs certificates for hosts, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "embedded AWS")])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self._root = self._signed(self._name, constraints)
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._root.public_bytes(Encoding.PEM))
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def context(self, host: str) -> ssl.SSLContext:
        """Return how to serve one host over TLS. It may be asked for in many threads."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._context(host)
            return self._contexts[host]

    def _context(self, host: str) -> ssl.SSLContext:
        alternative = x509.SubjectAlternativeName([x509.DNSName(host)])
        # A common name has at most 64 characters, and clients look at the alternative names alone.
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a registry")])
        file = self._folder / f"{host}.pem"
        file.touch(mode=0o600)
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(key + self._signed(name, alternative).public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(self, name: x509.Name, extension: x509.ExtensionType) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(extension, critical=False)
            .sign(self._key, hashes.SHA256())
        )
