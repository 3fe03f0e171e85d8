"""How the gateway is put together."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from gateway.admission import Admission
from gateway.config import Config
from gateway.connections import Connections
from gateway.dispatcher import Dispatcher
from gateway.handshake import Handshakes
from gateway.health import Health
from gateway.presence import Gateway, Presence
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
    clients = {name: CallClient(name, channel, clock) for name, channel in channels.items()}
    upstreams = Upstreams(clients, clock, timedelta(seconds=config.call_timeout_s))
    gateway = Gateway(config.gateway_id, str(uuid.uuid4()))
    presence = Presence(gateway, upstreams, clock, config.beat_interval_s)
    connections = Connections(config.max_connections)
    dispatcher = Dispatcher(
        codec=Codec(),
        repairer=Repairer(Schemas()),
        upstreams=upstreams,
        fallbacks=Fallbacks(clock, config.authorize_fallback),
        clock=clock,
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
        presence=presence,
        clock=clock,
    )
    try:
        async with upstreams.running(), server.serving():
            beats = asyncio.create_task(presence.beat_forever())
            try:
                yield
            finally:
                beats.cancel()
    finally:
        for channel in channels.values():
            await channel.close()
