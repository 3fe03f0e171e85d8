import hashlib
from datetime import UTC, datetime

import pytest

from simulator.certificates import NotACertificate, TrustStore, parse_certificates
from simulator.signing import Key
from tests.support.made_certificates import a_certificate

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROOT, MANUFACTURER = "CentralSystemRootCertificate", "ManufacturerRootCertificate"


def test_what_counts_of_a_certificate_is_read() -> None:
    [certificate] = parse_certificates(a_certificate(Key(9), serial_number=0xABC))
    assert certificate.serial_number == "abc"
    assert certificate.self_issued
    assert certificate.public_key == Key(9).public_key
    assert certificate.not_after == datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_chain_is_read_in_order() -> None:
    chain = a_certificate(subject="CP-1", issuer="Root") + a_certificate()
    assert [one.self_issued for one in parse_certificates(chain)] == [False, True]


@pytest.mark.parametrize("cut", [0, 40, 200])
def test_what_is_cut_off_is_no_certificate(cut: int) -> None:
    with pytest.raises(NotACertificate):
        parse_certificates(a_certificate()[cut:-40])


@pytest.mark.parametrize("body", ["", "AAAA", "MAA=", "MIAA", "nonsense"])
def test_what_is_no_der_is_no_certificate(body: str) -> None:
    with pytest.raises(NotACertificate):
        parse_certificates(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    "pem",
    [
        a_certificate(issuer="Somebody"),
        a_certificate(not_after=NOW),
        a_certificate() + a_certificate(),
        "",
    ],
)
def test_only_a_valid_root_is_trusted(pem: str) -> None:
    store = TrustStore(most=2)
    assert store.install(ROOT, pem, NOW) == "Rejected"
    assert store.hash_data(ROOT) == []


def test_a_root_is_named_by_hashes_and_deleted_by_them() -> None:
    store = TrustStore(most=2)
    assert store.install(ROOT, a_certificate(), NOW) == "Accepted"
    [named] = store.hash_data(ROOT)
    assert store.hash_data(MANUFACTURER) == []
    assert named["issuer_key_hash"] == hashlib.sha256(Key(7).public_key).hexdigest()
    other = {name: value.upper() for name, value in named.items()}
    assert store.delete(other | {"serial_number": "1"}) == "NotFound"
    assert store.delete(other) == "Accepted"
    assert store.delete(other) == "NotFound"


def test_space_is_limited_and_the_same_root_takes_none() -> None:
    store = TrustStore(most=1)
    assert store.install(ROOT, a_certificate(), NOW) == "Accepted"
    assert store.install(ROOT, a_certificate(), NOW) == "Accepted"
    assert store.install(MANUFACTURER, a_certificate(), NOW) == "Rejected"
