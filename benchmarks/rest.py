"""A blocking REST client, which costs less than what it measures."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT_S = 30
_HEADERS = {"Content-Type": "application/json"}


class Rest:
    """One client on one kept connection.

    Args:
        url: The URL before `/v1/…`.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._http = http.client.HTTPConnection(address.hostname, address.port, timeout=_TIMEOUT_S)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Return the status and the body of the answer."""
        self._http.request(method, path, body, _HEADERS if body else {})
        response = self._http.getresponse()
        return response.status, json.loads(response.read())
