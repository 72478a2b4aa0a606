"""Certificates of a simulator: an authority of its own, made anew at every start."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=30)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """Signs certificates that only those trust who are told to."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Nova simulator")
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            self._name,
            self._name,
            self._key.public_key(),
            x509.random_serial_number(),
            now - timedelta(hours=1),
            now + _LIFETIME,
        )
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(identifier, critical=False)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(Encoding.PEM)

    def write(self, file: Path) -> Path:
        file.write_bytes(self.pem)
        return file

    def issued(self, *names: str) -> bytes:
        """Return a new private key and its certificate for these names or addresses, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            self._name,
            _name(names[0]),
            key.public_key(),
            x509.random_serial_number(),
            now - timedelta(hours=1),
            now + _LIFETIME,
        )
        also = x509.SubjectAlternativeName([_general(each) for each in names])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(also, critical=False)
        builder = builder.add_extension(issuer, critical=False)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return private + certificate.public_bytes(Encoding.PEM)

    def server(self, *names: str, offer: tuple[str, ...] = ("h2", "http/1.1")) -> ssl.SSLContext:
        """Return the TLS side of a server with these names or addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory() as folder:  # the ssl module reads keys from files only
            file = Path(folder) / "server.pem"
            file.touch(mode=0o600)
            file.write_bytes(self.issued(*names))
            context.load_cert_chain(file)
        if offer:
            context.set_alpn_protocols(list(offer))
        return context


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
