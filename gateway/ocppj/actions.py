"""Which side of OCPP 1.6 may start which action."""

from typing import Final

from gateway.ocppj.frames import ErrorCode

CHARGE_POINT_ACTIONS: Final = frozenset(
    {
        "Authorize",
        "BootNotification",
        "DataTransfer",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "Heartbeat",
        "LogStatusNotification",
        "MeterValues",
        "SecurityEventNotification",
        "SignCertificate",
        "SignedFirmwareStatusNotification",
        "StartTransaction",
        "StatusNotification",
        "StopTransaction",
    }
)
"""Actions that a charge point starts: OCPP 1.6 section 4 and the security extension."""

CENTRAL_SYSTEM_ACTIONS: Final = frozenset(
    {
        "CancelReservation",
        "CertificateSigned",
        "ChangeAvailability",
        "ChangeConfiguration",
        "ClearCache",
        "ClearChargingProfile",
        "DataTransfer",
        "DeleteCertificate",
        "ExtendedTriggerMessage",
        "GetCompositeSchedule",
        "GetConfiguration",
        "GetDiagnostics",
        "GetInstalledCertificateIds",
        "GetLocalListVersion",
        "GetLog",
        "InstallCertificate",
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "ReserveNow",
        "Reset",
        "SendLocalList",
        "SetChargingProfile",
        "SignedUpdateFirmware",
        "TriggerMessage",
        "UnlockConnector",
        "UpdateFirmware",
    }
)
"""Actions that a central system starts: OCPP 1.6 section 5 and the security extension."""


def refusal_of(action: str) -> ErrorCode | None:
    """Tell with which code a charge point's call of `action` is refused; None when it is not.

    An action that OCPP 1.6 does not know is not implemented; one that it knows, but that only a
    central system may start, is not supported (OCPP-J 1.6, section 4.2.3).
    """
    if action in CHARGE_POINT_ACTIONS:
        return None
    known = action in CENTRAL_SYSTEM_ACTIONS
    return ErrorCode.NOT_SUPPORTED if known else ErrorCode.NOT_IMPLEMENTED
