"""Settings of device_service."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_settings import NoDecode

from servicekit.config import Address, ServiceConfig


def _listed(value: Any) -> Any:
    """Split the text of an environment variable at its commas."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
"""Words with commas between them."""

RedisUrl = Annotated[str, StringConstraints(pattern=r"^$|^rediss?://|^unix://")]


class Config(ServiceConfig):
    """What device_service can be told."""

    session_address: Address = Field(description="host:port of session_service")
    unknown_charge_points: Literal["reject", "pending", "accept"] = Field(
        "reject",
        description="what becomes of a charge point that nobody registered: reject refuses the"
        " handshake, pending registers it and waits for an operator, accept registers and"
        " accepts it",
    )
    heartbeat_interval_s: int = Field(
        300,
        ge=10,
        le=86_400,
        description="seconds between heartbeats of charge points without an interval of their own",
    )
    pending_retry_interval_s: int = Field(
        60,
        ge=1,
        le=86_400,
        description="seconds that a charge point waits before it boots again while it is pending"
        " or rejected",
    )
    data_transfer_vendor_ids: Listed = Field(
        (),
        description="vendorIds, with commas between them, whose DataTransfer is answered Accepted;"
        " every other is answered UnknownVendorId",
    )
    gateway_lease_s: float = Field(
        15,
        gt=0,
        le=3600,
        description="seconds after its last beat until a gateway, and with it its charge points,"
        " counts as lost",
    )
    redis_url: RedisUrl = Field(
        "",
        description="redis://host:port/database by which several replicas find each other's"
        " charge points; empty: there is one replica",
    )
    link_heartbeat_interval_s: float = Field(
        3,
        gt=0,
        le=60,
        description="seconds between the heartbeats of a gateway's link; two that are missing mean"
        " that it is lost",
    )
    link_max_in_flight: int = Field(
        1000, ge=1, le=100_000, description="commands that may be under way on one gateway's link"
    )
    command_poll_interval_s: float = Field(
        2,
        gt=0,
        le=60,
        description="seconds between looks for commands that wait, beside being told of them",
    )
    max_pending_commands: int = Field(
        50,
        ge=1,
        le=10_000,
        description="commands of one charge point that may wait or be under way at the same time",
    )
    remote_start_timeout_s: float = Field(
        120,
        gt=0,
        le=3600,
        description="seconds after an accepted remote start until no session of it is expected any"
        " more",
    )
