"""The certificates that a charge point trusts, and how they are named.

From the white paper "Improved security for OCPP 1.6-J", sections 5 and 6.
"""

import hashlib
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from simulator import der

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_TIMES = {der.UTC_TIME: "%y%m%d%H%M%SZ", der.GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}
_HASHES = {"SHA256": hashlib.sha256, "SHA384": hashlib.sha384, "SHA512": hashlib.sha512}


class NotACertificate(ValueError):
    """Says why a text holds no certificate."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What counts of an X.509 certificate.

    Attributes:
        serial_number: In hexadecimal digits, without leading zeros.
        issuer: The issuer's name, as DER.
        subject: The subject's name, as DER.
        public_key: The bits of the subject's public key.
        not_after: Until when it is valid.
    """

    serial_number: str
    issuer: bytes
    subject: bytes
    public_key: bytes
    not_after: datetime

    @property
    def self_issued(self) -> bool:
        """Whether it is a root."""
        return self.issuer == self.subject

    def hash_data(self, algorithm: str) -> dict[str, str]:
        """Return the CertificateHashData of a root, which is its own issuer."""
        digest = _HASHES[algorithm]
        return {
            "hash_algorithm": algorithm,
            "issuer_name_hash": digest(self.issuer).hexdigest(),
            "issuer_key_hash": digest(self.public_key).hexdigest(),
            "serial_number": self.serial_number,
        }


def parse_certificates(pem: str) -> Sequence[Certificate]:
    """Return the certificates of a PEM text, at least one. Signatures are not checked.

    Raises:
        NotACertificate: There is none, or one that cannot be read.
    """
    texts = _PEM.findall(pem)
    if not texts:
        raise NotACertificate("The text has no PEM certificate.")
    try:
        return [_parse(ssl.PEM_cert_to_DER_cert(text)) for text in texts]
    except (ValueError, IndexError) as error:
        raise NotACertificate(f"A certificate cannot be read: {error}") from error


def _parse(data: bytes) -> Certificate:
    body = der.elements(der.elements(der.only(data, der.SEQUENCE).content)[0].content)
    members = body[1:] if body[0].tag == der.CONTEXT_0 else body  # the version may be absent
    serial_number, _, issuer, validity, subject, key_info = members[:6]
    end = der.elements(validity.content)[1]
    if serial_number.tag != der.INTEGER or end.tag not in _TIMES:
        raise NotACertificate("Its members are not those of a certificate.")
    not_after = end.content.decode("ascii")
    return Certificate(
        serial_number=f"{int.from_bytes(serial_number.content):x}",
        issuer=issuer.whole,
        subject=subject.whole,
        public_key=der.elements(key_info.content)[1].content[1:],
        not_after=datetime.strptime(not_after, _TIMES[end.tag]).replace(tzinfo=UTC),
    )


class TrustStore:
    """The root certificates, by CertificateUse.

    Args:
        most: CertificateStoreMaxLength.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._roots: list[tuple[str, Certificate]] = []

    def install(self, use: str, pem: str, now: datetime) -> str:
        """Keep a root certificate; return the CertificateStatus."""
        try:
            [certificate] = parse_certificates(pem)
        except ValueError:
            return "Rejected"
        if (use, certificate) in self._roots:
            return "Accepted"
        full = len(self._roots) >= self._most
        if full or not certificate.self_issued or certificate.not_after <= now:
            return "Rejected"
        self._roots.append((use, certificate))
        return "Accepted"

    def delete(self, hash_data: Mapping[str, str]) -> str:
        """Drop the certificate with a CertificateHashData; return the DeleteCertificateStatus."""
        wanted = _lower(hash_data)
        algorithm = hash_data["hash_algorithm"]
        kept = [root for root in self._roots if _lower(root[1].hash_data(algorithm)) != wanted]
        found = len(kept) < len(self._roots)
        self._roots = kept
        return "Accepted" if found else "NotFound"

    def hash_data(self, use: str) -> Sequence[Mapping[str, Any]]:
        """Return the CertificateHashData of the certificates of one use."""
        return [root.hash_data("SHA256") for kept_for, root in self._roots if kept_for == use]


def _lower(hash_data: Mapping[str, str]) -> dict[str, str]:
    return {name: value.lower() for name, value in hash_data.items()}
