"""Makes certificates for tests, with the simulator's own DER; their signatures are empty."""

import base64
from datetime import UTC, datetime

from simulator import der
from simulator.signing import Key

LATER = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_certificate(
    key: Key | None = None,
    *,
    subject: str = "Root",
    issuer: str | None = None,
    serial_number: int = 0x0A1B,
    not_after: datetime = LATER,
) -> str:
    """Return a certificate in PEM; without an issuer it is a root."""
    bits = der.encode(der.BIT_STRING, b"\0", (key or Key(7)).public_key)
    algorithm = der.encode(der.SEQUENCE, der.encode(der.OBJECT_ID, b"\x2a"))
    end = not_after.strftime("%Y%m%d%H%M%SZ").encode()
    validity = (
        der.encode(der.UTC_TIME, b"200101000000Z"),
        der.encode(der.GENERALIZED_TIME, end),
    )
    body = der.encode(
        der.SEQUENCE,
        der.encode(der.CONTEXT_0, der.integer(2)),
        der.integer(serial_number),
        algorithm,
        _name(issuer or subject),
        der.encode(der.SEQUENCE, *validity),
        _name(subject),
        der.encode(der.SEQUENCE, algorithm, bits),
    )
    whole = der.encode(der.SEQUENCE, body, algorithm, der.encode(der.BIT_STRING, b"\0"))
    text = base64.b64encode(whole).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


def _name(text: str) -> bytes:
    pair = der.encode(der.OBJECT_ID, b"\x55\x04\x03"), der.encode(der.UTF8_STRING, text.encode())
    return der.encode(der.SEQUENCE, der.encode(der.SET, der.encode(der.SEQUENCE, *pair)))
