"""How session_service is put together."""

from datetime import timedelta

from servicekit.calls.server import CallServer
from servicekit.clock import Clock, SystemClock
from servicekit.database import Database
from servicekit.grpc_client import open_channel
from servicekit.ids import time_ordered_uuid
from servicekit.lifecycle import Service
from servicekit.periodic import Periodic
from servicekit.telemetry import Tracing
from session_service.call_api import handlers
from session_service.clients import AuthorizationClient, ChargePointClient, CommandClient
from session_service.config import Config
from session_service.domain.silence import Patience
from session_service.grpc_api import SessionApi
from session_service.store.endings import PostgresEndings
from session_service.store.events import PostgresEventLog
from session_service.store.layouts import Layouts
from session_service.store.meter_value_reader import PostgresMeterValueStore
from session_service.store.meter_values import PostgresMeterValues
from session_service.store.months import Months, Retention
from session_service.store.quarantine import PostgresQuarantine
from session_service.store.records import PostgresRecords
from session_service.store.retention import QuarantineRetention
from session_service.store.reviews import PostgresReviews
from session_service.store.sessions import PostgresSessionStore
from session_service.use_cases import (
    Endings,
    MeterValues,
    Quarantine,
    RemoteControl,
    Reviews,
    Sessions,
    Transactions,
    Watch,
)

SCHEMA = "session"
_UPKEEP_INTERVAL_S = 600.0


def build(config: Config, tracing: Tracing) -> Service:
    """Put the service together."""
    clock = SystemClock()
    database = Database(
        config.database_url,
        SCHEMA,
        pool_size=config.database_pool_size,
        timeout_s=config.database_timeout_s,
    )
    channel = open_channel(config.auth_address)
    device_channel = open_channel(config.device_address)
    layouts = Layouts(database)
    events = PostgresEventLog(database, clock, timedelta(days=config.event_retention_days))
    records = PostgresRecords(database, events, layouts, time_ordered_uuid)
    meter_records = PostgresMeterValues(database, layouts)
    transactions = Transactions(
        records, AuthorizationClient(channel, tracing), clock, time_ordered_uuid
    )
    sessions = Sessions(PostgresSessionStore(database))
    endings = Endings(
        PostgresEndings(database, events),
        ChargePointClient(device_channel),
        clock,
        Patience(
            timedelta(seconds=config.boot_silence_s), timedelta(seconds=config.session_silence_s)
        ),
    )
    quarantine = Quarantine(PostgresQuarantine(database, events, time_ordered_uuid), clock)
    tending = Periodic("tend_sessions", endings.tend, config.tend_interval_s).started()
    reviews = Reviews(PostgresReviews(database, events), clock)
    reviewing = Periodic("review_sessions", reviews.run, config.tend_interval_s).started()
    upkeep = _upkeep(config, database, events, clock)
    meter_values = MeterValues(sessions, PostgresMeterValueStore(database))
    remote = RemoteControl(sessions, CommandClient(device_channel, tracing))
    calls = CallServer(
        handlers(transactions, meter_records, time_ordered_uuid),
        clock,
        tracing,
        max_in_flight=config.max_calls_in_flight,
    )
    return Service(
        registrations=[
            SessionApi(
                sessions, meter_values, endings, quarantine, remote=remote, watch=Watch(events)
            ).register,
            calls.register,
        ],
        check=database.check,
        drain=[events.close, calls.drain],
        close=[
            tending.close,
            reviewing.close,
            *(work.close for work in upkeep),
            records.close,
            meter_records.close,
            channel.close,
            device_channel.close,
            database.close,
        ],
    )


def _upkeep(
    config: Config, database: Database, events: PostgresEventLog, clock: Clock
) -> list[Periodic]:
    work = {
        "forget_events": events.forget_old,
        "make_months": Months(database, clock).make,
    }
    if config.meter_value_retention_days:
        keep = timedelta(days=config.meter_value_retention_days)
        work["forget_meter_values"] = Retention(database, clock, keep).enforce
    if config.quarantine_retention_days:
        keep = timedelta(days=config.quarantine_retention_days)
        work["forget_quarantine"] = QuarantineRetention(database, clock, keep).enforce
    return [Periodic(name, do, _UPKEEP_INTERVAL_S).started() for name, do in work.items()]
