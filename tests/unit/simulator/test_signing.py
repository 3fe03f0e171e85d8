import base64
import hashlib

from simulator import der
from simulator.signing import _BASE, _ORDER, Key, add, multiply


def test_the_public_key_is_a_known_multiple_of_the_base_point() -> None:
    doubled = "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
    assert Key(2).public_key[1:33].hex() == doubled
    assert multiply(3, _BASE) == add(_BASE, multiply(2, _BASE))


def test_a_request_is_signed_by_the_key_that_it_names() -> None:
    key = Key()
    lines = key.certificate_request("CP-1", "Operator").splitlines()
    assert lines[0] == "-----BEGIN CERTIFICATE REQUEST-----"
    whole = der.only(base64.b64decode("".join(lines[1:-1])), der.SEQUENCE)
    info, _, signature = der.elements(whole.content)
    _, subject, key_info, _ = der.elements(info.content)
    assert b"CP-1" in subject.content
    assert b"Operator" in subject.content
    assert key_info.content.endswith(key.public_key)
    assert verifies(key.public_key, info.whole, signature.content[1:])
    assert not verifies(Key().public_key, info.whole, signature.content[1:])


def verifies(public_key: bytes, data: bytes, signature: bytes) -> bool:
    point = int.from_bytes(public_key[1:33]), int.from_bytes(public_key[33:])
    pair = der.elements(der.only(signature, der.SEQUENCE).content)
    r, s = (int.from_bytes(number.content) for number in pair)
    digest, inverse = int.from_bytes(hashlib.sha256(data).digest()), pow(s, -1, _ORDER)
    of_base = multiply(digest * inverse % _ORDER, _BASE)
    of_key = multiply(r * inverse % _ORDER, point)
    return add(of_base, of_key)[0] % _ORDER == r
