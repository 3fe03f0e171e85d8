"""Walks through lists."""

from collections.abc import Awaitable, Callable
from typing import Any


async def every_page(method: Callable[[Any], Awaitable[Any]], request: Any) -> list[Any]:
    """Return the answers of a List method until there is no next page."""
    pages = [await method(request)]
    while token := pages[-1].next_page_token:
        request.page_token = token
        pages.append(await method(request))
    return pages
