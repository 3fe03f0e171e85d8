"""A charge point's key, and the requests to certify it (PKCS #10, RFC 2986; ECDSA, FIPS 186-5).

Plain arithmetic on the curve P-256: good enough for a charge point that does not exist, and not
for secrets, since the time it takes tells about the key.
"""

import base64
import hashlib
import secrets
import textwrap

from simulator import der

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_A = -3
_BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_EC_PUBLIC_KEY = bytes.fromhex("2a8648ce3d0201")
_PRIME256V1 = bytes.fromhex("2a8648ce3d030107")
_ECDSA_WITH_SHA256 = bytes.fromhex("2a8648ce3d040302")
_COMMON_NAME, _ORGANIZATION = bytes.fromhex("550403"), bytes.fromhex("55040a")

Point = tuple[int, int]


class Key:
    """A private key on P-256.

    Args:
        secret: The private number; None chooses one.
    """

    def __init__(self, secret: int | None = None) -> None:
        self._secret = secret or 1 + secrets.randbelow(_ORDER - 1)
        self._public = multiply(self._secret, _BASE)

    @property
    def public_key(self) -> bytes:
        """The public key as X9.62 writes a point."""
        x, y = self._public
        return b"\x04" + x.to_bytes(32) + y.to_bytes(32)

    def certificate_request(self, common_name: str, organization: str) -> str:
        """Return a certificate signing request for this key, in PEM.

        Args:
            common_name: The serial number or identity of the charge point.
            organization: Its operator; empty for none.
        """
        names = [(_ORGANIZATION, organization)] if organization else []
        subject = [_name(kind, text) for kind, text in (*names, (_COMMON_NAME, common_name))]
        info = der.encode(
            der.SEQUENCE,
            der.integer(0),
            der.encode(der.SEQUENCE, *subject),
            self._key_info(),
            der.encode(der.CONTEXT_0),
        )
        algorithm = der.encode(der.SEQUENCE, der.encode(der.OBJECT_ID, _ECDSA_WITH_SHA256))
        signature = der.encode(der.BIT_STRING, b"\0", self._sign(info))
        return _pem(der.encode(der.SEQUENCE, info, algorithm, signature))

    def _key_info(self) -> bytes:
        kind = (der.encode(der.OBJECT_ID, oid) for oid in (_EC_PUBLIC_KEY, _PRIME256V1))
        bits = der.encode(der.BIT_STRING, b"\0", self.public_key)
        return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, *kind), bits)

    def _sign(self, data: bytes) -> bytes:
        digest = int.from_bytes(hashlib.sha256(data).digest())
        nonce = 1 + secrets.randbelow(_ORDER - 1)
        r = multiply(nonce, _BASE)[0] % _ORDER
        s = pow(nonce, -1, _ORDER) * (digest + r * self._secret) % _ORDER
        return der.encode(der.SEQUENCE, der.integer(r), der.integer(s))


def multiply(factor: int, point: Point) -> Point:
    """Return a multiple of a point of the curve; the factor is at least 1."""
    product: Point | None = None
    while factor:
        if factor & 1:
            product = point if product is None else add(product, point)
        factor >>= 1
        if factor:
            point = add(point, point)
    assert product is not None
    return product


def add(one: Point, other: Point) -> Point:
    """Return the sum of two points of the curve that are not each other's negative."""
    (x, y), (u, v) = one, other
    slope = (3 * x * x + _A) * pow(2 * y, -1, _P) if one == other else (v - y) * pow(u - x, -1, _P)
    third = (slope * slope - x - u) % _P
    return third, (slope * (x - third) - y) % _P


def _name(kind: bytes, text: str) -> bytes:
    pair = der.encode(der.OBJECT_ID, kind), der.encode(der.UTF8_STRING, text.encode())
    return der.encode(der.SET, der.encode(der.SEQUENCE, *pair))


def _pem(data: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(data).decode("ascii"), 64)
    begin, end = (f"-----{word} CERTIFICATE REQUEST-----" for word in ("BEGIN", "END"))
    return "\n".join([begin, *lines, end, ""])
