"""How the gateway is put together."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from gateway.admission import Admission
from gateway.commands import Commands
from gateway.config import Config
from gateway.connections import Connections
from gateway.dispatcher import Dispatcher
from gateway.handshake import Handshakes
from gateway.health import Health
from gateway.journal import Journal
from gateway.link import Gateway, GatewayLink
from gateway.outcomes import Outcomes
from gateway.repair import Repairer
from gateway.routing import Fallbacks, Service
from gateway.server import ChargePointServer
from gateway.upstream import Upstreams
from ocpp16.codec import Codec
from ocpp16.schemas import Schemas
from servicekit.calls.client import CallClient
from servicekit.clock import SystemClock
from servicekit.grpc_client import open_channel
from servicekit.telemetry import Tracing


@asynccontextmanager
async def running(config: Config, tracing: Tracing) -> AsyncIterator[None]:
    """Run a gateway for the length of the block."""
    clock = SystemClock()
    channels = {
        Service.AUTH: open_channel(config.auth_address),
        Service.DEVICE: open_channel(config.device_address),
        Service.SESSION: open_channel(config.session_address),
    }
    replicas = [open_channel(address) for address in config.device_addresses]
    clients = {name: CallClient(name, channel, clock) for name, channel in channels.items()}
    upstreams = Upstreams(clients, timedelta(seconds=config.call_timeout_s))
    gateway = Gateway(config.gateway_id, str(uuid.uuid4()))
    connections = Connections(config.max_connections)
    codec, repairer = Codec(), Repairer(Schemas())
    outcomes = Outcomes(codec, repairer, clock)
    journal = Journal(config.journal_frames, config.journal_bytes)
    link = GatewayLink(
        gateway,
        replicas,
        connections=connections,
        commands=Commands(connections, outcomes, tracing),
        journal=journal,
        repairer=repairer,
        clock=clock,
    )
    dispatcher = Dispatcher(
        codec=codec,
        repairer=repairer,
        upstreams=upstreams,
        fallbacks=Fallbacks(clock, config.authorize_fallback),
        tracing=tracing,
        sample_ratio=config.trace_sample_ratio,
    )
    admission = Admission(channels[Service.DEVICE], config.gateway_id, config.admission_cache_s)
    handshakes = Handshakes(
        admission, connections, Health({name.value: channel for name, channel in channels.items()})
    )
    server = ChargePointServer(
        config,
        handshakes=handshakes,
        connections=connections,
        dispatcher=dispatcher,
        outcomes=outcomes,
        link=link,
        journal=journal,
        clock=clock,
    )
    try:
        async with upstreams.running(), link.running(), server.serving():
            yield
    finally:
        for channel in (*channels.values(), *replicas):
            await channel.close()
