"""What operators and charge points do with id tags."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from auth_service.domain import (
    Authorization,
    IdTag,
    IdTagNotFound,
    IdTagText,
    ParentIdTagUnusable,
    authorize,
)
from auth_service.ports import IdTagStore
from servicekit.clock import Clock
from servicekit.errors import EtagMismatch
from servicekit.ids import IdSource
from servicekit.pagination import Page, PageRequest


class IdTags:
    """Creates, reads, changes and deletes id tags."""

    def __init__(self, store: IdTagStore, clock: Clock, new_id: IdSource) -> None:
        self._store, self._clock, self._new_id = store, clock, new_id

    async def get(self, text: IdTagText) -> IdTag:
        """Return a tag.

        Raises:
            IdTagNotFound: There is none with this text.
        """
        tag = await self._store.find(text)
        if tag is None:
            raise IdTagNotFound(f"There is no id tag {text}.", id_tag=text)
        return tag

    async def list(self, page: PageRequest, parent: IdTagText | None) -> Page[IdTag]:
        """Return a page of tags, newest first, of one group or all."""
        return await self._store.list(page, parent)

    async def create(self, text: IdTagText, values: Mapping[str, Any]) -> IdTag:
        """Keep a new tag with the given attributes.

        Raises:
            IdTagAlreadyExists: The text is taken.
            ParentIdTagUnusable: The parent does not exist.
        """
        now = self._clock.now()
        tag = IdTag(text, create_time=now, update_time=now, etag=self._new_etag(), **values)
        await self._store.add(tag)
        return tag

    async def update(self, text: IdTagText, changes: Mapping[str, Any], etag: str) -> IdTag:
        """Change attributes of a tag; an empty etag stands for whatever version is current.

        Raises:
            IdTagNotFound: There is none with this text.
            EtagMismatch: The tag has changed since the etag was read.
            ParentIdTagUnusable: The parent does not exist, or is the tag itself or below it.
        """
        current = await self.get(text)
        if etag not in ("", current.etag):
            raise EtagMismatch(f"Id tag {text} has changed; read it again.", id_tag=text)
        if changes.get("parent") == current.text:
            raise ParentIdTagUnusable("A tag cannot be its own parent.", id_tag=text)
        changed = dataclasses.replace(
            current, **changes, update_time=self._clock.now(), etag=self._new_etag()
        )
        await self._store.replace(changed, current.etag)
        return changed

    async def delete(self, text: IdTagText) -> None:
        """Forget a tag.

        Raises:
            IdTagNotFound: There is none with this text.
            IdTagInUse: It is the parent of another.
        """
        await self._store.remove(text)

    def _new_etag(self) -> str:
        return self._new_id().hex


class Authorize:
    """Tells whether a tag may charge now; changes nothing."""

    def __init__(self, store: IdTagStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def __call__(self, text: str) -> Authorization:
        """Judge the tag with this text; any text is allowed, as charge points send any."""
        return authorize(await self._store.find(text), self._clock.now())
