"""What the use cases need from outside."""

from typing import Protocol

from auth_service.domain import IdTag, IdTagText
from servicekit.pagination import Page, PageRequest


class IdTagStore(Protocol):
    """Keeps id tags; their texts are compared without regard to case."""

    async def find(self, text: str) -> IdTag | None:
        """Return the tag with this text, if there is one."""

    async def list(self, page: PageRequest, parent: IdTagText | None) -> Page[IdTag]:
        """Return a page of tags, newest first, of one group or all."""

    async def add(self, tag: IdTag) -> None:
        """Keep a new tag.

        Raises:
            IdTagAlreadyExists: Its text is taken.
            ParentIdTagUnusable: Its parent does not exist.
        """

    async def replace(self, tag: IdTag, expected_etag: str) -> None:
        """Keep a changed tag.

        Raises:
            IdTagNotFound: It is gone.
            EtagMismatch: It has another etag than expected.
            ParentIdTagUnusable: Its parent does not exist, or is the tag itself or below it.
        """

    async def remove(self, text: IdTagText) -> None:
        """Forget a tag.

        Raises:
            IdTagNotFound: There is none.
            IdTagInUse: It is the parent of another.
        """
