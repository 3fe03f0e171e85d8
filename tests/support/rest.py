"""The REST API as an operator uses it."""

from typing import Any
from urllib.parse import quote

import httpx


class Rest:
    """Calls the REST API and checks the status code.

    Args:
        url: The URL before `/v1/…`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def request(self, method: str, path: str, *, expect: int = 200, **options: Any) -> Any:
        """Return the JSON of the answer, whose status has to be the expected one."""
        answer = await self._client.request(method, path, **options)
        assert answer.status_code == expect, f"{answer.status_code}: {answer.text}"
        assert answer.headers["content-type"].startswith("application/json"), answer.text
        return answer.json()

    async def get(self, path: str, *, expect: int = 200, **params: Any) -> Any:
        """GET."""
        return await self.request("GET", path, expect=expect, params=params)

    async def post(self, path: str, body: Any = None, *, expect: int = 200, **params: Any) -> Any:
        """POST a JSON body."""
        return await self.request(
            "POST", path, expect=expect, params=params, json={} if body is None else body
        )

    async def add_id_tag(self, text: str, **values: Any) -> Any:
        """Create an id tag."""
        return await self.post("/v1/idTags", values, idTagId=text)

    async def sessions_of(self, charge_point_id: str) -> list[dict[str, Any]]:
        """Return the sessions of a charge point, newest first."""
        name = f"chargePoints/{charge_point_id}"
        page = await self.get("/v1/sessions", chargePoint=name)
        sessions: list[dict[str, Any]] = page["sessions"]
        return sessions

    async def is_healthy(self) -> bool:
        """Tell whether every part serves."""
        return (await self._client.get("/healthz")).status_code == httpx.codes.OK

    async def charge_point(self, charge_point_id: str) -> Any:
        """Return a charge point."""
        return await self.get(f"/v1/chargePoints/{quote(charge_point_id, safe='')}")
