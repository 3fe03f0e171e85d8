"""Channels to the other processes of the installation."""

from ipaddress import IPv4Address

import grpc

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024

CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),  # an idle stream is pinged for as long as it is idle
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    # Of several replicas each gets its share of the calls.
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    # Proxies of the environment are for the internet, not for our own processes.
    ("grpc.enable_http_proxy", 0),
)


def open_channel(address: str) -> grpc.aio.Channel:
    """Return a channel that connects, and connects again, by itself.

    Args:
        address: host:port, or those of several replicas with commas between them.
    """
    return grpc.aio.insecure_channel(_target(address), options=CHANNEL_OPTIONS)


def _target(address: str) -> str:
    """Return what calls are sent to: any replica that is there.

    gRPC takes a list of numbers only; of a list of names it is the first. A name that stands for
    all replicas does as well.
    """
    addresses = address.split(",")
    if len(addresses) > 1 and all(_is_ipv4(item) for item in addresses):
        return f"ipv4:{address}"
    return addresses[0]


def _is_ipv4(address: str) -> bool:
    try:
        IPv4Address(address.rpartition(":")[0])
    except ValueError:
        return False
    return True
