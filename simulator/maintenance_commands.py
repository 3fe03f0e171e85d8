"""Answers the operations about diagnostics, logs and firmware (OCPP 1.6 5.9, 5.19; security 5)."""

from functools import partial
from typing import Any

from ocpp.v16 import call_result

from simulator import trains
from simulator.certificates import NotACertificate, parse_certificates
from simulator.controls import Controls
from simulator.maintenance import DIAGNOSTICS, FIRMWARE, LOG, SIGNED_FIRMWARE
from simulator.times import parse_optional_time, parse_time


class MaintenanceCommands:
    """Each method takes the members of a request as keywords and returns the answer."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def get_diagnostics(self, **request: Any) -> Any:
        """Answer GetDiagnostics; about a time that ends before it begins there is nothing."""
        there = _something_between(request.get("start_time"), request.get("stop_time"))
        return call_result.GetDiagnostics(file_name="diagnostics.log" if there else None)

    def after_get_diagnostics(self, **request: Any) -> None:
        """Upload."""
        if _something_between(request.get("start_time"), request.get("stop_time")):
            train = trains.diagnostics(request["location"])
            self._controls.maintenance.start(DIAGNOSTICS, train)

    def get_log(self, **request: Any) -> Any:
        """Answer GetLog; an upload that is under way is given up for the new one."""
        parameters = request["log"]
        oldest, latest = parameters.get("oldest_timestamp"), parameters.get("latest_timestamp")
        if not _something_between(oldest, latest):
            return call_result.GetLog(status="Rejected")
        name = "security.log" if request["log_type"] == "SecurityLog" else "diagnostics.log"
        return call_result.GetLog(status=self._accepted(LOG), filename=name)

    def after_get_log(self, **request: Any) -> None:
        """Upload."""
        parameters = request["log"]
        oldest, latest = parameters.get("oldest_timestamp"), parameters.get("latest_timestamp")
        if _something_between(oldest, latest):
            train = trains.log(parameters["remote_location"])
            self._controls.maintenance.start(LOG, train, request_id=request["request_id"])

    def update_firmware(self, **request: Any) -> Any:
        """Answer UpdateFirmware."""
        parse_time(request["retrieve_date"])
        return call_result.UpdateFirmware()

    def after_update_firmware(self, **request: Any) -> None:
        """Update."""
        location = request["location"]
        train = trains.firmware(location, parse_time(request["retrieve_date"]))
        reboot = partial(self._controls.reboot, trains.version_in(location))
        self._controls.maintenance.stop(SIGNED_FIRMWARE)
        self._controls.maintenance.start(FIRMWARE, train, reboot=reboot)

    def signed_update_firmware(self, **request: Any) -> Any:
        """Answer SignedUpdateFirmware; an update that is under way is given up for the new one."""
        firmware = request["firmware"]
        parse_time(firmware["retrieve_date_time"])
        parse_optional_time(firmware.get("install_date_time"))
        if not self._certified(firmware["signing_certificate"]):
            self._controls.triggers.security_event("InvalidFirmwareSigningCertificate")
            return call_result.SignedUpdateFirmware(status="InvalidCertificate")
        return call_result.SignedUpdateFirmware(status=self._accepted(SIGNED_FIRMWARE))

    def after_signed_update_firmware(self, **request: Any) -> None:
        """Update."""
        firmware = request["firmware"]
        if not self._certified(firmware["signing_certificate"]):
            return
        train = trains.signed_firmware(
            firmware["location"],
            parse_time(firmware["retrieve_date_time"]),
            parse_optional_time(firmware.get("install_date_time")),
            self._controls.now(),
        )
        reboot = partial(self._controls.reboot, trains.version_in(firmware["location"]))
        self._controls.maintenance.stop(FIRMWARE)
        self._controls.maintenance.start(
            SIGNED_FIRMWARE, train, request_id=request["request_id"], reboot=reboot
        )

    def _certified(self, pem: str) -> bool:
        try:
            [certificate, *_] = parse_certificates(pem)
        except NotACertificate:
            return False
        return certificate.not_after > self._controls.now()

    def _accepted(self, action: str) -> str:
        return "AcceptedCanceled" if self._controls.maintenance.busy(action) else "Accepted"


def _something_between(begin: str | None, end: str | None) -> bool:
    first, last = parse_optional_time(begin), parse_optional_time(end)
    return first is None or last is None or first <= last
