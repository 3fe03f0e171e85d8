"""How device_service is put together."""

from datetime import timedelta

from device_service.call_api import handlers
from device_service.clients import SessionClient
from device_service.config import Config
from device_service.convert.commands import error_bytes
from device_service.convert.payloads import Payloads, is_accepted
from device_service.domain import ChargePointId, UnknownChargePoints
from device_service.facts import Fact, Registration
from device_service.grpc_api import AdmissionApi, ChargePointApi, CommandApi
from device_service.linking import link_up, new_registry, new_replica_id
from device_service.ports import CommandEvents, CommandStore, Sessions
from device_service.replica import Announcements
from device_service.store import (
    FactWriter,
    PostgresChargePointStore,
    PostgresCommandStore,
    PostgresGatewayStore,
    PostgresReportStore,
)
from device_service.use_cases import (
    Admission,
    ChargePoints,
    CommandRules,
    Commands,
    Desk,
    Frames,
    Inbox,
    InboxRules,
    Reports,
    Waiters,
    expire_overdue,
    settle_sessions,
)
from servicekit.calls.server import CallServer
from servicekit.clock import Clock, SystemClock
from servicekit.database import Database
from servicekit.group_commit import GroupCommit
from servicekit.grpc_client import open_channel
from servicekit.ids import time_ordered_uuid
from servicekit.lifecycle import Service
from servicekit.periodic import Periodic
from servicekit.telemetry import Tracing

SCHEMA = "device"
_UPKEEP_INTERVAL_S = 1.0


def build(config: Config, tracing: Tracing, clock: Clock | None = None) -> Service:
    """Put the service together; without a clock it goes by that of the machine."""
    clock = clock or SystemClock()
    database = Database(
        config.database_url,
        SCHEMA,
        pool_size=config.database_pool_size,
        timeout_s=config.database_timeout_s,
    )
    store = PostgresChargePointStore(database)
    recorder: GroupCommit[Fact, Registration | None] = GroupCommit(FactWriter(database).write)
    unknown = UnknownChargePoints(config.unknown_charge_points)
    rules = InboxRules(
        unknown,
        heartbeat_interval=timedelta(seconds=config.heartbeat_interval_s),
        retry_interval=timedelta(seconds=config.pending_retry_interval_s),
        vendor_ids=frozenset(config.data_transfer_vendor_ids),
    )
    inbox = Inbox(recorder, clock, time_ordered_uuid, rules)
    calls = CallServer(
        handlers(inbox, time_ordered_uuid),
        clock,
        tracing,
        max_in_flight=config.max_calls_in_flight,
    )
    lease = timedelta(seconds=config.gateway_lease_s)
    charge_points = ChargePoints(store, clock, time_ordered_uuid, lease)
    look_up: GroupCommit[ChargePointId, bool | None] = GroupCommit(store.look_up)
    admission = Admission(look_up.submit, recorder, clock, time_ordered_uuid, unknown)
    waiters, replica_id = Waiters(), new_replica_id()
    registry = new_registry(config, replica_id)
    events = Announcements(waiters, registry)
    command_store = PostgresCommandStore(database)
    linking = link_up(
        config,
        store=PostgresGatewayStore(database),
        recorder=recorder,
        desk=new_desk(config, command_store, events, clock),
        registry=registry,
        waiters=waiters,
        clock=clock,
        replica_id=replica_id,
    )
    commands = Commands(
        command_store,
        linking.dispatch,
        events,
        waiters,
        clock=clock,
        rules=CommandRules(config.max_pending_commands, lease),
    )
    channel = open_channel(config.session_address)
    upkeep = _upkeep(command_store, SessionClient(channel), events, clock)
    return Service(
        registrations=[
            ChargePointApi(
                charge_points,
                Reports(PostgresReportStore(database)),
                Frames(charge_points, linking.frames),
            ).register,
            CommandApi(commands, Payloads(), clock, time_ordered_uuid, tracing).register,
            AdmissionApi(admission).register,
            linking.api.register,
            calls.register,
        ],
        check=database.check,
        drain=[waiters.close, linking.api.drain, calls.drain],
        close=[
            *(work.close for work in upkeep),
            *linking.close,
            recorder.close,
            channel.close,
            database.close,
        ],
    )


def _upkeep(
    store: CommandStore, sessions: Sessions, events: CommandEvents, clock: Clock
) -> list[Periodic]:
    work = {
        "expire_commands": expire_overdue(store, events, clock),
        "settle_sessions": settle_sessions(store, sessions, events, clock),
    }
    return [Periodic(name, do, _UPKEEP_INTERVAL_S).started() for name, do in work.items()]


def new_desk(config: Config, store: CommandStore, events: CommandEvents, clock: Clock) -> Desk:
    """Return where deliverers get commands."""
    return Desk(
        store,
        events,
        clock,
        is_accepted=is_accepted,
        to_status=error_bytes,
        session_wait=timedelta(seconds=config.remote_start_timeout_s),
    )
