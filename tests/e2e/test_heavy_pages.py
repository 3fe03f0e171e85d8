"""Lists of what charge points sent can be read however much they sent."""

from typing import Any

from deploy.embedded import Platform
from tests.support.charge_points import raw_charge_point
from tests.support.rest import Rest

FRAMES = 8
TEXT = "<" * 240_000
"""JSON may write each of these in six bytes, and Envoy holds 8 MiB of it at most."""


async def test_pages_of_large_frames_end_before_envoy_refuses_them(
    platform: Platform, rest: Rest
) -> None:
    async with raw_charge_point(platform.ocpp_url, "HEAVY") as station:
        await station.boot()
        for number in range(FRAMES):
            answer = await station.call("Nonsense", {"number": number, "text": TEXT})
            assert answer[2] == "NotImplemented"
    pages = await every_page(rest, "/v1/quarantine", chargePoint="chargePoints/HEAVY")
    kept = [entry["rawText"] for page in pages for entry in page["quarantineEntries"]]
    assert len({text for text in kept if TEXT in text}) == len(kept) == FRAMES
    assert len(pages) > 1


async def every_page(rest: Rest, path: str, **filters: Any) -> list[Any]:
    pages = [await rest.get(path, **filters)]
    while token := pages[-1]["nextPageToken"]:
        pages.append(await rest.get(path, **filters, pageToken=token))
    return pages
