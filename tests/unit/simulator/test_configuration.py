import pytest

from simulator.configuration import Configuration


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("HeartbeatInterval", "60", "Accepted"),
        ("HeartbeatInterval", "-60", "Rejected"),
        ("HeartbeatInterval", "soon", "Rejected"),
        ("AllowOfflineTxForUnknownId", "TRUE", "Accepted"),
        ("AllowOfflineTxForUnknownId", "1", "Rejected"),
        ("heartbeatINTERVAL", "60", "Accepted"),
        ("HeartbeatInterval", "9" * 9999, "Rejected"),
        ("HeartbeatInterval", "0", "Rejected"),
        ("MeterValuesSampledData", "SoC, Voltage", "Accepted"),
        ("MeterValuesSampledData", "SoC,Weight", "Rejected"),
        ("WebSocketPingInterval", "30", "RebootRequired"),
        ("CpoName", "", "Rejected"),
        ("SupportedFeatureProfiles", "Core", "Rejected"),
        ("NoSuchKey", "1", "NotSupported"),
    ],
)
def test_a_change_is_judged_by_its_key(key: str, value: str, status: str) -> None:
    configuration = Configuration({})
    before = configuration.get([key])
    assert configuration.change(key, value) == status
    assert (configuration.get([key]) == before) == (status in {"Rejected", "NotSupported"})


def test_no_keys_means_all_keys() -> None:
    known, unknown = Configuration({"NumberOfConnectors": "2"}).get([])
    assert {"key": "NumberOfConnectors", "readonly": True, "value": "2"} in known
    assert unknown == []


def test_unknown_keys_are_named() -> None:
    known, unknown = Configuration({}).get(["HeartbeatInterval", "NoSuchKey"])
    assert [entry["key"] for entry in known] == ["HeartbeatInterval"]
    assert unknown == ["NoSuchKey"]


def test_a_password_is_changed_and_never_told() -> None:
    configuration = Configuration({})
    assert configuration.change("AuthorizationKey", "too short") == "Rejected"
    assert configuration.change("AuthorizationKey", "sixteen-letters-") == "Accepted"
    assert configuration.text("AuthorizationKey") == "sixteen-letters-"
    assert configuration.get(["AuthorizationKey"])[0] == [
        {"key": "AuthorizationKey", "readonly": False}
    ]
