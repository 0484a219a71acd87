"""Certificates for receivers on loopback, made anew for each run: one authority that the sender is told to trust."""

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "receiver.example"
VALID = (dt.timedelta(days=-1), dt.timedelta(days=1))
EXPIRED = (dt.timedelta(days=-2), dt.timedelta(days=-1))
USAGES = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
USAGES += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]


class Authority:
    """Signs leaf certificates; its own is at `certificate`, for SSL_CERT_FILE."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the tests")])
        self.certificate = folder / "authority.pem"
        usage = dict.fromkeys(USAGES, False) | {"key_cert_sign": True}
        made = self._sign(
            self._name, self._key, VALID, [x509.BasicConstraints(ca=True, path_length=None), x509.KeyUsage(**usage)]
        )
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def server(self, name: str = NAME, valid: tuple[dt.timedelta, dt.timedelta] = VALID) -> ssl.SSLContext:
        """What a TLS server of that name speaks with."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._sign(subject, key, valid, [x509.SubjectAlternativeName([x509.DNSName(name)])])
        file = self._folder / "server.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        valid: tuple[dt.timedelta, dt.timedelta],
        extensions: list[x509.ExtensionType],
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        extensions = [
            *extensions,
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
        ]
        builder = x509.CertificateBuilder(
            self._name, subject, key.public_key(), x509.random_serial_number(), now + valid[0], now + valid[1]
        )
        for extension in extensions:
            builder = builder.add_extension(
                extension, critical=isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
            )
        return builder.sign(self._key, hashes.SHA256())
