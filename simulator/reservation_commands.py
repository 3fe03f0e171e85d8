"""Answers the operations of the reservation profile (OCPP 1.6 5.2, 5.13)."""

from typing import Any

from ocpp.v16 import call_result

from simulator.connector import Connector
from simulator.controls import Controls
from simulator.reservations import WHOLE, Reservation
from simulator.times import parse_time


class ReservationCommands:
    """Each method takes the members of a request as keywords and returns the answer."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def reserve_now(self, **request: Any) -> Any:
        """Answer ReserveNow."""
        reservation = Reservation(
            id=request["reservation_id"],
            connector_id=request["connector_id"],
            id_tag=request["id_tag"],
            parent_id_tag=request.get("parent_id_tag"),
            expiry=parse_time(request["expiry_date"]),
        )
        status = self._judge(reservation)
        if status == "Accepted":
            self._controls.reservations.keep(reservation)
            self._controls.reservations_changed()
        return call_result.ReserveNow(status=status)

    def cancel_reservation(self, **request: Any) -> Any:
        """Answer CancelReservation."""
        cancelled = self._controls.reservations.cancel(request["reservation_id"])
        if cancelled:
            self._controls.reservations_changed()
        return call_result.CancelReservation(status="Accepted" if cancelled else "Rejected")

    def _judge(self, asked: Reservation) -> str:
        """Return the ReservationStatus."""
        known = 0 <= asked.connector_id <= len(self._controls.connectors)
        if not known or asked.expiry <= self._controls.now():
            return "Rejected"
        chosen = [
            connector
            for connector in self._controls.connectors
            if asked.connector_id in {WHOLE, connector.number} and connector.operative
        ]
        if not chosen:
            return "Unavailable"
        free = [connector for connector in chosen if self._free(connector, asked)]
        promised = [kept for kept in self._controls.reservations.of(WHOLE) if kept.id != asked.id]
        if asked.connector_id == WHOLE and len(free) <= len(promised):
            return "Occupied"
        return "Accepted" if free else "Occupied"

    def _free(self, connector: Connector, asked: Reservation) -> bool:
        kept = self._controls.reservations.of(connector.number)
        return not connector.busy and all(one.id == asked.id for one in kept)
