"""How a charge point opens its connection (OCPP-J 1.6 section 3)."""

import base64
from urllib.parse import quote

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from simulator.configuration import Configuration

OCPP = Subprotocol("ocpp1.6")
_CLOSE_TIMEOUT_S = 0.4  # an exit takes no longer


def connect_to(url: str, identity: str, configuration: Configuration) -> connect:
    """Return a connection that opens when it is entered.

    Args:
        url: The central system's address, to which the identity is appended.
        identity: The charge point.
        configuration: Knows the password, if there is one, and how often to ping.
    """
    return connect(
        f"{url.rstrip('/')}/{quote(identity, safe='')}",
        subprotocols=[OCPP],
        compression=None,
        close_timeout=_CLOSE_TIMEOUT_S,
        proxy=None,
        ping_interval=configuration.number("WebSocketPingInterval") or None,
        additional_headers=_credentials(identity, configuration.text("AuthorizationKey")),
    )


def _credentials(identity: str, password: str) -> dict[str, str]:
    """Return the header of HTTP Basic authentication, once there is a password."""
    if not password:
        return {}
    pair = base64.b64encode(f"{identity}:{password}".encode()).decode("ascii")
    return {"Authorization": f"Basic {pair}"}
