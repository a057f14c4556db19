"""Certificates for the tests of TLS."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PEM = serialization.Encoding.PEM
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


HOUR = datetime.timedelta(hours=1)


class Authority:
    """A certificate authority that lives as long as a test."""

    def __init__(self, folder, name: str) -> None:
        self.folder = folder
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.ca = self._write(name, self._build(self.subject, self.key, ca=True), self.key)[0]

    def issue(self, name: str, *alternatives, since=-HOUR, until=HOUR) -> tuple[str, str]:
        """Certificate and key, valid from `since` to `until`, both counted from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        built = self._build(subject, key, *alternatives, since=since, until=until)
        return self._write(name, built, key)

    def alone(self, *alternatives) -> tuple[str, str]:
        """A certificate that nobody signed but its own key."""
        built = self._build(self.subject, self.key, *alternatives)
        return self._write(f"{self.name}-alone", built, self.key)

    def _build(self, subject, key, *alternatives, ca: bool = False, since=-HOUR, until=HOUR):
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + since)
            .not_valid_after(now + until)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name, certificate, key) -> tuple[str, str]:
        cert, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        private.touch(mode=0o600)  # hearth refuses a key that everybody can read
        cert.write_bytes(certificate.public_bytes(PEM))
        none = serialization.NoEncryption()
        private.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, none))
        return str(cert), str(private)
