"""The schema of device_service in PostgreSQL."""

from device_service.store.charge_points import PostgresChargePointStore
from device_service.store.commands import PostgresCommandStore
from device_service.store.facts import FactWriter
from device_service.store.gateways import PostgresGatewayStore
from device_service.store.reports import PostgresReportStore

__all__ = [
    "FactWriter",
    "PostgresChargePointStore",
    "PostgresCommandStore",
    "PostgresGatewayStore",
    "PostgresReportStore",
]
