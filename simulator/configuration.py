"""The configuration keys of a charge point (OCPP 1.6 section 9)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class _Key:
    value: str
    readonly: bool = False


def _standard_keys() -> dict[str, _Key]:
    return {
        "AllowOfflineTxForUnknownId": _Key("false"),
        "AuthorizeRemoteTxRequests": _Key("false", readonly=True),
        "ClockAlignedDataInterval": _Key("0", readonly=True),
        "ConnectionTimeOut": _Key("60"),
        "GetConfigurationMaxKeys": _Key("50", readonly=True),
        "HeartbeatInterval": _Key("300"),
        "LocalAuthorizeOffline": _Key("true", readonly=True),
        "LocalPreAuthorize": _Key("false", readonly=True),
        "MeterValueSampleInterval": _Key("5"),
        "MeterValuesSampledData": _Key(
            "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,SoC",
            readonly=True,
        ),
        "ResetRetries": _Key("1"),
        "StopTransactionOnEVSideDisconnect": _Key("true", readonly=True),
        "StopTransactionOnInvalidId": _Key("true", readonly=True),
        "SupportedFeatureProfiles": _Key("Core,RemoteTrigger", readonly=True),
        "TransactionMessageAttempts": _Key("3"),
        "TransactionMessageRetryInterval": _Key("5"),
        "UnlockConnectorOnEVSideDisconnect": _Key("true", readonly=True),
    }


class Configuration:
    """Holds the keys and answers for them.

    Args:
        values: What differs from the usual values, by key.
    """

    def __init__(self, values: dict[str, str]) -> None:
        self._keys = _standard_keys()
        for key, value in values.items():
            self.set(key, value)

    def set(self, key: str, value: str) -> None:
        """Set a key, writable from outside or not; a new key is a fact about the charge point."""
        known = self._keys.get(key, _Key(value, readonly=True))
        self._keys[key] = replace(known, value=value)

    def number(self, key: str) -> int:
        """Return the value of a numeric key."""
        return int(self._keys[key].value)

    def enabled(self, key: str) -> bool:
        """Return the value of a boolean key."""
        return self._keys[key].value.lower() == "true"

    def get(self, keys: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the known ones of the keys, and the names of the others; no keys means all."""
        names = keys or list(self._keys)
        known = [
            {"key": name, "readonly": self._keys[name].readonly, "value": self._keys[name].value}
            for name in names
            if name in self._keys
        ]
        return known, [name for name in names if name not in self._keys]

    def change(self, key: str, value: str) -> str:
        """Change a key on request and return the ConfigurationStatus of the answer."""
        known = self._keys.get(key)
        if known is None:
            return "NotSupported"
        if known.readonly or not _fits(known.value, value):
            return "Rejected"
        self.set(key, value)
        return "Accepted"


def _fits(present: str, value: str) -> bool:
    if present.isdecimal():
        return value.isascii() and value.isdecimal() and int(value) < 2**31
    return value.lower() in {"true", "false"}
