"""Registers the fleet's id tags with the platform, over its REST API."""

import asyncio
import http.client
import time
import urllib.parse
from collections.abc import Sequence
from http import HTTPStatus

import structlog

from servicekit.backoff import Backoff

log = structlog.get_logger()

_REQUEST_TIMEOUT_S = 2.0
_FINE = (HTTPStatus.OK, HTTPStatus.CONFLICT)


class RegistrationFailed(Exception):
    """Says which id tag could not be registered, where, and why."""


async def register_id_tags(base_url: str, id_tags: Sequence[str], patience_s: float) -> None:
    """Make sure that id tags exist; one that exists already is left as it is.

    Args:
        base_url: Where the REST API is, such as http://127.0.0.1:8080.
        id_tags: The tags.
        patience_s: How long to try for each tag when the API does not answer as it should.

    Raises:
        RegistrationFailed: A tag could not be registered in time.
    """
    for id_tag in id_tags:
        await _register(base_url, id_tag, time.monotonic() + patience_s)
    log.info("id_tags_registered", count=len(id_tags))


async def _register(base_url: str, id_tag: str, deadline: float) -> None:
    backoff = Backoff(first=0.5, most=3)
    while (problem := await asyncio.to_thread(_post, base_url, id_tag)) is not None:
        if time.monotonic() > deadline:
            raise RegistrationFailed(
                f"Could not register the id tag {id_tag} at {base_url}: {problem}. "
                "Is the platform running there? Set --rest to where its REST API is."
            )
        await asyncio.sleep(backoff.next_delay())


def _post(base_url: str, id_tag: str) -> str | None:
    """Return what went wrong, or None."""
    url = urllib.parse.urlsplit(base_url)
    secure = url.scheme == "https"
    connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    query = urllib.parse.urlencode({"idTagId": id_tag})
    connection = connect(url.hostname or "", url.port, timeout=_REQUEST_TIMEOUT_S)
    try:
        path = f"{url.path.rstrip('/')}/v1/idTags?{query}"
        connection.request("POST", path, b"{}", {"Content-Type": "application/json"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return None if status in _FINE else f"HTTP {status}"
