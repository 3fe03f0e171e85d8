"""What the central system can tell a charge point to do: one row for each action.

A row is what answers, and what follows the answer. An action that has no row is answered with
NotImplemented by the `ocpp` package.
"""

from collections.abc import Callable
from typing import Any

from simulator.charging_commands import ChargingCommands
from simulator.controls import Controls
from simulator.core_commands import CoreCommands
from simulator.link import Routes
from simulator.list_commands import ListCommands
from simulator.maintenance_commands import MaintenanceCommands
from simulator.reservation_commands import ReservationCommands
from simulator.security_commands import SecurityCommands
from simulator.trigger_commands import TriggerCommands


def routes(controls: Controls) -> Routes:
    """Return what answers each action, and what follows the answer."""
    core, lists = CoreCommands(controls), ListCommands(controls)
    reservation, charging = ReservationCommands(controls), ChargingCommands(controls)
    maintenance, security = MaintenanceCommands(controls), SecurityCommands(controls)
    trigger = TriggerCommands(controls)
    return {
        "CancelReservation": _on(reservation.cancel_reservation),
        "CertificateSigned": _on(security.certificate_signed),
        "ChangeAvailability": _on(core.change_availability),
        "ChangeConfiguration": _on(core.change_configuration, core.after_change_configuration),
        "ClearCache": _on(core.clear_cache),
        "ClearChargingProfile": _on(charging.clear_charging_profile),
        "DataTransfer": _on(core.data_transfer),
        "DeleteCertificate": _on(security.delete_certificate),
        "ExtendedTriggerMessage": _on(
            trigger.extended_trigger_message, trigger.after_extended_trigger_message
        ),
        "GetCompositeSchedule": _on(charging.get_composite_schedule),
        "GetConfiguration": _on(core.get_configuration),
        "GetDiagnostics": _on(maintenance.get_diagnostics, maintenance.after_get_diagnostics),
        "GetInstalledCertificateIds": _on(security.get_installed_certificate_ids),
        "GetLocalListVersion": _on(lists.get_local_list_version),
        "GetLog": _on(maintenance.get_log, maintenance.after_get_log),
        "InstallCertificate": _on(security.install_certificate),
        "RemoteStartTransaction": _on(core.remote_start_transaction),
        "RemoteStopTransaction": _on(core.remote_stop_transaction),
        "ReserveNow": _on(reservation.reserve_now),
        "Reset": _on(core.reset, core.after_reset),
        "SendLocalList": _on(lists.send_local_list),
        "SetChargingProfile": _on(charging.set_charging_profile),
        "SignedUpdateFirmware": _on(
            maintenance.signed_update_firmware, maintenance.after_signed_update_firmware
        ),
        "TriggerMessage": _on(trigger.trigger_message, trigger.after_trigger_message),
        "UnlockConnector": _on(core.unlock_connector),
        "UpdateFirmware": _on(maintenance.update_firmware, maintenance.after_update_firmware),
    }


def _on(
    answer: Callable[..., Any], afterwards: Callable[..., None] | None = None
) -> dict[str, Callable[..., Any]]:
    return {"_on_action": answer} | ({"_after_action": afterwards} if afterwards else {})
