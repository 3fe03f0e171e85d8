"""The configuration keys of a charge point (OCPP 1.6 section 9, and those of its security)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

_MEASURANDS = (
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Current.Import",
    "Voltage",
    "SoC",
)
_PROFILES = (
    "Core",
    "FirmwareManagement",
    "LocalAuthListManagement",
    "Reservation",
    "SmartCharging",
    "RemoteTrigger",
)
_DAY_S = 86_400

Check = Callable[[str], bool]
"""Tells whether a value fits a key."""


@dataclass(frozen=True)
class _Key:
    """A key: without a check it is read-only.

    A change of a `rebooting` key works from the next start on; a `secret` one is never told.
    """

    value: str
    check: Check | None = None
    rebooting: bool = False
    secret: bool = False


def _boolean(value: str) -> bool:
    return value.lower() in {"true", "false"}


def _whole(least: int, most: int) -> Check:
    def check(value: str) -> bool:
        if not (value.isascii() and value.isdecimal() and len(value) <= 10):
            return False
        return least <= int(value) <= most

    return check


def _some_of(words: Sequence[str]) -> Check:
    return lambda value: {word.strip() for word in value.split(",")} <= set(words)


def _text(least: int, most: int) -> Check:
    return lambda value: least <= len(value) <= most and value.isascii() and value.isprintable()


def _standard_keys() -> dict[str, _Key]:
    return {
        "AllowOfflineTxForUnknownId": _Key("false", _boolean),
        "AuthorizationCacheEnabled": _Key("true", _boolean),
        "AuthorizeRemoteTxRequests": _Key("false", _boolean),
        "ClockAlignedDataInterval": _Key("0"),
        "ConnectionTimeOut": _Key("60", _whole(1, 3600)),
        "GetConfigurationMaxKeys": _Key("50"),
        "HeartbeatInterval": _Key("300", _whole(1, _DAY_S)),
        "LocalAuthorizeOffline": _Key("true", _boolean),
        "LocalPreAuthorize": _Key("false", _boolean),
        "MeterValueSampleInterval": _Key("5", _whole(1, 3600)),
        "MeterValuesSampledData": _Key(",".join(_MEASURANDS), _some_of(_MEASURANDS)),
        "ResetRetries": _Key("1", _whole(0, 10)),
        "StopTransactionOnEVSideDisconnect": _Key("true"),
        "StopTransactionOnInvalidId": _Key("true"),
        "SupportedFeatureProfiles": _Key(",".join(_PROFILES)),
        "TransactionMessageAttempts": _Key("3", _whole(1, 100)),
        "TransactionMessageRetryInterval": _Key("5", _whole(0, 3600)),
        "UnlockConnectorOnEVSideDisconnect": _Key("true"),
        "WebSocketPingInterval": _Key("20", _whole(0, 3600), rebooting=True),
        **_keys_of_the_other_profiles(),
    }


def _keys_of_the_other_profiles() -> dict[str, _Key]:
    return {
        "AuthorizationKey": _Key("", _text(16, 40), secret=True),
        "CertificateStoreMaxLength": _Key("10"),
        "ChargeProfileMaxStackLevel": _Key("8"),
        "ChargingScheduleAllowedChargingRateUnit": _Key("Current,Power"),
        "ChargingScheduleMaxPeriods": _Key("24"),
        "CpoName": _Key("", _text(1, 64)),
        "LocalAuthListEnabled": _Key("true", _boolean),
        "LocalAuthListMaxLength": _Key("100"),
        "MaxChargingProfilesInstalled": _Key("20"),
        "ReserveConnectorZeroSupported": _Key("true"),
        "SecurityProfile": _Key("0"),
        "SendLocalListMaxLength": _Key("50"),
        "SupportedFileTransferProtocols": _Key("FTP,HTTP,HTTPS"),
    }


class Configuration:
    """Holds the keys and answers for them; names are compared without case (CiString50Type).

    Args:
        values: What differs from the usual values, by key.
    """

    def __init__(self, values: dict[str, str]) -> None:
        self._keys = _standard_keys()
        for key, value in values.items():
            self.set(key, value)
        self._names = {name.casefold(): name for name in self._keys}

    def set(self, key: str, value: str) -> None:
        """Set a key, writable from outside or not; a new key is a fact about the charge point."""
        self._keys[key] = replace(self._keys.get(key, _Key(value)), value=value)

    def number(self, key: str) -> int:
        """Return the value of a numeric key."""
        return int(self._keys[key].value)

    def enabled(self, key: str) -> bool:
        """Return the value of a boolean key."""
        return self._keys[key].value.lower() == "true"

    def text(self, key: str) -> str:
        """Return the value of a key as it stands."""
        return self._keys[key].value

    def words(self, key: str) -> frozenset[str]:
        """Return the value of a key that lists words."""
        return frozenset(word.strip() for word in self._keys[key].value.split(","))

    def get(self, keys: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the known ones of the keys, and the names of the others; no keys means all."""
        asked = keys or list(self._keys)
        known = [self._names[name.casefold()] for name in asked if name.casefold() in self._names]
        unknown = [name for name in asked if name.casefold() not in self._names]
        return [self._told(name) for name in known], unknown

    def change(self, key: str, value: str) -> str:
        """Change a key on request and return the ConfigurationStatus of the answer."""
        name = self._names.get(key.casefold())
        if name is None:
            return "NotSupported"
        known = self._keys[name]
        if known.check is None or not known.check(value):
            return "Rejected"
        self.set(name, value)
        return "RebootRequired" if known.rebooting else "Accepted"

    def _told(self, name: str) -> dict[str, Any]:
        known = self._keys[name]
        told = {"key": name, "readonly": known.check is None}
        return told if known.secret else told | {"value": known.value}
