"""A gateway's side of commands without a gateway: presence and results, put straight into place."""

from datetime import datetime, timedelta

from csms.ocpp.v16 import core_pb2
from csms.ocpp.v16.central_system_call_pb2 import CentralSystemAnswer
from device_service.convert.commands import error_bytes
from device_service.convert.payloads import is_accepted
from device_service.facts import ConnectionClosed, ConnectionOpened
from device_service.ports import Delivery, Outcome
from device_service.store import FactWriter, PostgresCommandStore
from device_service.use_cases import Desk, Waiters
from servicekit.clock import Clock
from servicekit.database import Database
from servicekit.errors import PlatformError

ACCEPTED = CentralSystemAnswer(
    reset=core_pb2.ResetResponse(status=core_pb2.RESET_STATUS_ACCEPTED)
).SerializeToString()
REMOTE_START_ACCEPTED = CentralSystemAnswer(
    remote_start_transaction=core_pb2.RemoteStartTransactionResponse(
        status=core_pb2.REMOTE_START_STOP_STATUS_ACCEPTED
    )
).SerializeToString()
REMOTE_START_REJECTED = CentralSystemAnswer(
    remote_start_transaction=core_pb2.RemoteStartTransactionResponse(
        status=core_pb2.REMOTE_START_STOP_STATUS_REJECTED
    )
).SerializeToString()


class Deliverer:
    """Another replica of device_service, without its gRPC: it has a desk on the same database."""

    def __init__(self, database_url: str, clock: Clock) -> None:
        self.database = Database(database_url, "device", pool_size=4)
        self.store = PostgresCommandStore(self.database)
        self._clock, self._facts = clock, FactWriter(self.database)
        self.desk = Desk(
            self.store,
            Waiters(),
            clock,
            is_accepted=is_accepted,
            to_status=error_bytes,
            session_wait=timedelta(seconds=120),
        )

    def now(self) -> datetime:
        """Return the time of the clock."""
        return self._clock.now()

    async def connect(
        self, charge_point_id: str, connection_id: str = "conn-1", instance: str = "instance-1"
    ) -> None:
        """Let a charge point come."""
        now = self._clock.now()
        opened = ConnectionOpened(
            charge_point_id=charge_point_id,
            connection_id=connection_id,
            gateway_id="gateway-1",
            gateway_instance_id=instance,
            remote_address="192.0.2.1:4000",
            subprotocol="ocpp1.6",
            open_time=now,
            beat_time=now,
        )
        await self._facts.write([opened])

    async def disconnect(self, charge_point_id: str, connection_id: str = "conn-1") -> None:
        """Let a charge point go."""
        closed = ConnectionClosed(charge_point_id, connection_id, self._clock.now(), 1006, "")
        await self._facts.write([closed])

    async def claim(
        self, charge_point_id: str, connection_id: str = "conn-1", instance: str = "instance-1"
    ) -> Delivery | None:
        """Claim the next command of a charge point."""
        return await self.desk.claim_next(charge_point_id, connection_id, instance)

    async def answer(self, command_id: str, response: bytes = ACCEPTED) -> None:
        """Let the charge point answer a command that was claimed."""
        await self.desk.sent(command_id, self._clock.now())
        await self.desk.ended(Outcome(command_id, self._clock.now(), sent=True, response=response))

    async def fail(self, command_id: str, error: PlatformError, *, sent: bool) -> None:
        """Let a command end without an answer."""
        error_status = error_bytes(error)
        await self.desk.ended(Outcome(command_id, self._clock.now(), sent=sent, error=error_status))

    async def close(self) -> None:
        """Close the database."""
        await self.database.close()
