"""How device_service is put together."""

from datetime import timedelta

from device_service.call_api import handlers
from device_service.config import Config
from device_service.domain import UnknownChargePoints
from device_service.facts import Fact, Registration
from device_service.grpc_api import AdmissionApi, ChargePointApi
from device_service.store import FactWriter, PostgresChargePointStore, PostgresReportStore
from device_service.use_cases import Admission, ChargePoints, Inbox, InboxRules, Reports
from servicekit.calls.server import CallServer
from servicekit.clock import Clock, SystemClock
from servicekit.database import Database
from servicekit.group_commit import GroupCommit
from servicekit.ids import time_ordered_uuid
from servicekit.lifecycle import Service
from servicekit.telemetry import Tracing

SCHEMA = "device"


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
    admission = Admission(store, recorder, clock, time_ordered_uuid, unknown)
    return Service(
        registrations=[
            ChargePointApi(charge_points, Reports(PostgresReportStore(database))).register,
            AdmissionApi(admission).register,
            calls.register,
        ],
        check=database.check,
        drain=[calls.drain],
        close=[recorder.close, database.close],
    )
