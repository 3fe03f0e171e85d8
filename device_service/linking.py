"""How the links of gateways are put together."""

import secrets
import socket
from dataclasses import dataclass
from datetime import timedelta

from device_service.config import Config
from device_service.dispatch import Dispatch
from device_service.frame_watches import LinkedFrames
from device_service.gateways import Gateways
from device_service.link_api import LinkApi
from device_service.links import Links
from device_service.ports import (
    CommandDesk,
    CommandEvents,
    ConnectionRegistry,
    GatewayStore,
    Recorder,
)
from device_service.registry import MemoryRegistry, RedisRegistry
from device_service.replica import Replica
from servicekit.clock import Clock
from servicekit.lifecycle import Closer
from servicekit.periodic import Periodic

_REGISTRY_RESTART_S = 1.0


@dataclass(frozen=True)
class Linking:
    """The parts that serve the links.

    Attributes:
        api: Serves them.
        dispatch: Delivers commands over them.
        frames: Shows what passes on the wires of their charge points.
        close: Called at the end, in order, before the database is closed.
    """

    api: LinkApi
    dispatch: Dispatch
    frames: LinkedFrames
    close: tuple[Closer, ...]


def new_replica_id() -> str:
    """Return a name for this process that no other bears, and that people understand."""
    return f"{socket.gethostname()}-{secrets.token_hex(4)}"


def new_registry(config: Config, replica_id: str) -> ConnectionRegistry:
    """Return the registry that the settings ask for."""
    if config.redis_url:
        return RedisRegistry(config.redis_url, replica_id)
    return MemoryRegistry(replica_id)


def link_up(
    config: Config,
    *,
    store: GatewayStore,
    recorder: Recorder,
    desk: CommandDesk,
    registry: ConnectionRegistry,
    waiters: CommandEvents,
    clock: Clock,
    replica_id: str,
) -> Linking:
    """Put the links together and begin to tend them."""
    links = Links()
    dispatch = Dispatch(links, desk, registry)
    gateways = Gateways(
        links=links,
        store=store,
        recorder=recorder,
        desk=desk,
        dispatch=dispatch,
        registry=registry,
        clock=clock,
        replica_id=replica_id,
        max_in_flight=config.link_max_in_flight,
    )
    replica = Replica(
        links=links,
        gateways=gateways,
        store=store,
        dispatch=dispatch,
        events=waiters,
        clock=clock,
        lease=timedelta(seconds=config.gateway_lease_s),
    )
    work = [
        Periodic("registry", lambda: registry.run(replica), _REGISTRY_RESTART_S, patience_s=0),
        Periodic("tend_links", replica.tend, config.command_poll_interval_s),
    ]
    interval = timedelta(seconds=config.link_heartbeat_interval_s)
    return Linking(
        LinkApi(gateways, clock, interval),
        dispatch,
        LinkedFrames(links, registry, replica_id),
        (*(item.started().close for item in work), dispatch.close),
    )
