"""Makes the frames of a tape readable for people: action, repairs, secrets masked."""

from collections import OrderedDict
from datetime import datetime
from typing import Final

from csms.gateway.v1 import gateway_link_pb2 as pb
from gateway.journal import Entry
from gateway.masking import mask
from gateway.ocppj.frames import Call, CallError, CallResult, Malformed, parse
from gateway.repair import Repairer
from gateway.text import storable
from servicekit.timestamps import to_timestamp

_MAX_OPEN_CALLS: Final = 512
_MAX_ACTION: Final = 50


class FrameReader:
    """Reads the frames of one charge point in the order in which they passed.

    Args:
        repairer: Tells which rules were applied to a frame.
    """

    def __init__(self, repairer: Repairer) -> None:
        self._repairer = repairer
        self._calls: OrderedDict[tuple[bool, str], str] = OrderedDict()

    def read(self, entry: Entry) -> pb.Frame:
        """Return a frame as it is shown."""
        time, from_charge_point, text, connection_id = entry
        frame = parse(text)
        action = self._action(frame, from_charge_point)
        return pb.Frame(
            time=to_timestamp(time),
            from_charge_point=from_charge_point,
            text=mask(text, action),
            action=storable(action[:_MAX_ACTION]),
            repairs=self._repairs(frame, action, time) if from_charge_point else (),
            connection_id=connection_id,
        )

    def _action(
        self, frame: Call | CallResult | CallError | Malformed, from_charge_point: bool
    ) -> str:
        """Name the action of a call; that of an answer is the one of the call it answers."""
        if isinstance(frame, Call):
            self._remember(from_charge_point, str(frame.message_id), frame.action)
            return frame.action
        if isinstance(frame, Malformed):
            return frame.action or ""
        return self._calls.pop((not from_charge_point, frame.message_id), "")

    def _remember(self, from_charge_point: bool, message_id: str, action: str) -> None:
        self._calls[from_charge_point, message_id] = action
        while len(self._calls) > _MAX_OPEN_CALLS:
            self._calls.popitem(last=False)

    def _repairs(
        self, frame: Call | CallResult | CallError | Malformed, action: str, time: datetime
    ) -> tuple[str, ...]:
        try:
            if isinstance(frame, Call):
                return self._repairer.repair(action, frame.payload, time).rules
            if isinstance(frame, CallResult):
                return self._repairer.repair_response(action, frame.payload, time).rules
        except KeyError:  # an action that OCPP 1.6 does not have, or an answer to no known call
            return ()
        return ()
