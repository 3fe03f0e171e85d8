"""How auth_service is put together."""

from auth_service.call_api import handlers
from auth_service.config import Config
from auth_service.grpc_api import AuthorizationApi, IdTagApi
from auth_service.store import PostgresIdTagStore
from auth_service.use_cases import Authorize, IdTags
from servicekit.calls.server import CallServer
from servicekit.clock import SystemClock
from servicekit.database import Database
from servicekit.ids import time_ordered_uuid
from servicekit.lifecycle import Service
from servicekit.telemetry import Tracing

SCHEMA = "auth"


def build(config: Config, tracing: Tracing) -> Service:
    """Put the service together."""
    clock = SystemClock()
    database = Database(
        config.database_url,
        SCHEMA,
        pool_size=config.database_pool_size,
        timeout_s=config.database_timeout_s,
    )
    store = PostgresIdTagStore(database)
    authorize = Authorize(store, clock)
    calls = CallServer(
        handlers(authorize), clock, tracing, max_in_flight=config.max_calls_in_flight
    )
    return Service(
        registrations=[
            IdTagApi(IdTags(store, clock, time_ordered_uuid)).register,
            AuthorizationApi(authorize).register,
            calls.register,
        ],
        check=database.check,
        drain=[calls.drain],
        close=[database.close],
    )
