"""Settings of device_service."""

import pytest
from pydantic import ValidationError

from device_service.config import Config


@pytest.fixture
def _address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSMS_LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("CSMS_DATABASE_URL", "postgresql://nobody@localhost/nothing")
    monkeypatch.setenv("CSMS_SESSION_ADDRESS", "127.0.0.1:2")


@pytest.mark.usefixtures("_address")
def test_unknown_charge_points_are_rejected_by_default() -> None:
    config = Config()
    assert config.unknown_charge_points == "reject"
    assert config.data_transfer_vendor_ids == ()


@pytest.mark.usefixtures("_address")
def test_vendors_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSMS_DATA_TRANSFER_VENDOR_IDS", "EV-BOX, org.example,")
    monkeypatch.setenv("CSMS_UNKNOWN_CHARGE_POINTS", "pending")
    assert Config().data_transfer_vendor_ids == ("EV-BOX", "org.example")
    assert Config().unknown_charge_points == "pending"


@pytest.mark.usefixtures("_address")
def test_unknown_policy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSMS_UNKNOWN_CHARGE_POINTS", "maybe")
    with pytest.raises(ValidationError, match="unknown_charge_points"):
        Config()
