"""Reading the identity of a charge point from a path."""

import pytest

from gateway.identity import MalformedIdentity, charge_point_id


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/ocpp/CP-1", "CP-1"),
        ("/ocpp/CP-1/", "CP-1"),
        ("//ocpp///CP-1//", "CP-1"),
        ("/ocpp/CP-1?a=/b", "CP-1"),
        ("/ocpp/CP%201", "CP 1"),
        ("/ocpp/CP+1", "CP+1"),
        ("/ocpp/%25", "%"),
        ("/ocpp/%2525", "%25"),
        ("/ocpp/..", ".."),
        ("/ocpp/a:b;c=d,e@f~!$&'()*", "a:b;c=d,e@f~!$&'()*"),
        ("/ocpp/" + "x" * 48, "x" * 48),
        ("/ocpp/" + "%78" * 48, "x" * 48),
    ],
)
def test_identity_is_decoded_once(path: str, identity: str) -> None:
    assert charge_point_id(path) == identity


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "identity_missing"),
        ("/", "identity_missing"),
        ("/ocpp", "identity_missing"),
        ("/ocpp/", "identity_missing"),
        ("/ocpp/?id=CP-1", "identity_missing"),
        ("/other/CP-1", "path_unknown"),
        ("/OCPP/CP-1", "path_unknown"),
        ("/ocpp/CP-1/more", "path_unknown"),
        ("/ocpp/../CP-1", "path_unknown"),
        ("/ocpp/CP%2F1", "identity_character_not_allowed"),
        ("/ocpp/%00", "identity_character_not_allowed"),
        ("/ocpp/CP-1%0A", "identity_character_not_allowed"),
        ("/ocpp/%7F", "identity_character_not_allowed"),
        ("/ocpp/%C3%A9", "identity_not_ascii"),
        ("/ocpp/%F0%9F%94%8C", "identity_not_ascii"),
        ("/ocpp/🔌", "identity_not_ascii"),
        ("/ocpp/\udcff", "identity_not_ascii"),
        ("/ocpp/" + "x" * 49, "identity_too_long"),
        ("/ocpp/" + "x" * 300, "identity_too_long"),
    ],
)
def test_path_without_a_possible_identity_is_refused(path: str, reason: str) -> None:
    with pytest.raises(MalformedIdentity, match=f"^{reason}$"):
        charge_point_id(path)
