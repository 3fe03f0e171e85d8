"""Id tags in PostgreSQL."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from auth_service.domain import (
    IdTag,
    IdTagAlreadyExists,
    IdTagInUse,
    IdTagNotFound,
    IdTagText,
    ParentIdTagUnusable,
)
from servicekit.database import Database
from servicekit.errors import EtagMismatch
from servicekit.pagination import Page, PageRequest, time_key

metadata = sa.MetaData()

id_tags = sa.Table(
    "id_tags",
    metadata,
    sa.Column("id_tag_key", sa.Text, primary_key=True),  # lower case: CiString ignores case
    sa.Column("id_tag", sa.Text, nullable=False),
    sa.Column("parent_key", sa.Text, sa.ForeignKey("id_tags.id_tag_key", name="id_tags_parent")),
    sa.Column("expire_time", sa.TIMESTAMP(timezone=True)),
    sa.Column("blocked", sa.Boolean, nullable=False),
    sa.Column("max_active_transactions", sa.Integer, nullable=False),
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("create_time", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("update_time", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
)
_parent = id_tags.alias("parent")
_with_parent = sa.select(id_tags, _parent.c.id_tag.label("parent")).join_from(
    id_tags, _parent, id_tags.c.parent_key == _parent.c.id_tag_key, isouter=True
)


class PostgresIdTagStore:
    """Keeps id tags in the schema of auth_service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, text: str) -> IdTag | None:
        """Return the tag with this text, if there is one."""
        if "\0" in text:  # PostgreSQL has no such text, and so no such tag
            return None
        query = _with_parent.where(id_tags.c.id_tag_key == text.lower())
        async with self._database.transaction() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return _to_id_tag(row) if row else None

    async def list(self, page: PageRequest, parent: IdTagText | None) -> Page[IdTag]:
        """Return a page of tags, newest first, of one group or all."""
        of_group = id_tags.c.parent_key == parent.lower() if parent else sa.true()
        query = _with_parent.where(of_group, _behind(page)).order_by(
            id_tags.c.create_time.desc(), id_tags.c.id_tag_key.desc()
        )
        count = sa.select(sa.func.count()).select_from(id_tags).where(of_group)
        async with self._database.transaction() as connection:
            total = await connection.scalar(count)
            rows = (await connection.execute(query.limit(page.size + 1))).mappings().all()
        return page.page([_to_id_tag(row) for row in rows], total or 0, _sort_key)

    async def add(self, tag: IdTag) -> None:
        """Keep a new tag; see the port for what it raises."""
        try:
            async with self._database.transaction() as connection:
                await connection.execute(sa.insert(id_tags).values(_to_row(tag)))
        except sa.exc.IntegrityError as error:
            raise _refusal(error, tag) from None

    async def replace(self, tag: IdTag, expected_etag: str) -> None:
        """Keep a changed tag; see the port for what it raises."""
        key = tag.text.lower()
        change = sa.update(id_tags).where(id_tags.c.id_tag_key == key).values(_to_row(tag))
        try:
            async with self._database.transaction() as connection:
                await _lock(connection, key, expected_etag)
                await connection.execute(change)
                await _refuse_cycle(connection, tag)
        except sa.exc.IntegrityError as error:
            raise _refusal(error, tag) from None

    async def remove(self, text: IdTagText) -> None:
        """Forget a tag; see the port for what it raises."""
        removal = sa.delete(id_tags).where(id_tags.c.id_tag_key == text.lower())
        try:
            async with self._database.transaction() as connection:
                removed = await connection.execute(removal)
        except sa.exc.IntegrityError:
            raise IdTagInUse(
                f"Id tag {text} is the parent of others; change them first.", id_tag=text
            ) from None
        if not removed.rowcount:
            raise IdTagNotFound(f"There is no id tag {text}.", id_tag=text)


async def _lock(connection: AsyncConnection, key: str, expected_etag: str) -> None:
    query = sa.select(id_tags.c.etag).where(id_tags.c.id_tag_key == key).with_for_update()
    etag = await connection.scalar(query)
    if etag is None:
        raise IdTagNotFound(f"There is no id tag {key}.", id_tag=key)
    if etag != expected_etag:
        raise EtagMismatch(f"Id tag {key} has changed; read it again.", id_tag=key)


async def _refuse_cycle(connection: AsyncConnection, tag: IdTag) -> None:
    ancestors = (
        sa.select(id_tags.c.parent_key)
        .where(id_tags.c.id_tag_key == tag.text.lower())
        .cte("ancestors", recursive=True)
    )
    ancestors = ancestors.union(
        sa.select(id_tags.c.parent_key).join(
            ancestors, id_tags.c.id_tag_key == ancestors.c.parent_key
        )
    )
    query = sa.select(sa.literal(1)).where(ancestors.c.parent_key == tag.text.lower())
    if await connection.scalar(query):
        raise ParentIdTagUnusable(
            f"Id tag {tag.parent} belongs to {tag.text} itself.", id_tag=tag.text
        )


def _refusal(error: sa.exc.IntegrityError, tag: IdTag) -> Exception:
    if "id_tags_parent" in str(error.orig):
        return ParentIdTagUnusable(f"There is no id tag {tag.parent}.", id_tag=tag.parent)
    return IdTagAlreadyExists(f"Id tag {tag.text} exists already.", id_tag=tag.text)


def _behind(page: PageRequest) -> sa.ColumnElement[bool]:
    if page.after is None:
        return sa.true()
    created, key = page.after
    return sa.tuple_(id_tags.c.create_time, id_tags.c.id_tag_key) < sa.tuple_(
        sa.literal(time_key(created), sa.TIMESTAMP(timezone=True)), sa.literal(key)
    )


def _sort_key(tag: IdTag) -> tuple[str, str]:
    return tag.create_time.isoformat(), tag.text.lower()


def _to_row(tag: IdTag) -> dict[str, object]:
    return {
        "id_tag_key": tag.text.lower(),
        "id_tag": tag.text,
        "parent_key": tag.parent.lower() if tag.parent else None,
        "expire_time": tag.expire_time,
        "blocked": tag.blocked,
        "max_active_transactions": tag.max_active_transactions,
        "display_name": tag.display_name,
        "create_time": tag.create_time,
        "update_time": tag.update_time,
        "etag": tag.etag,
    }


def _to_id_tag(row: Mapping[Any, Any]) -> IdTag:
    expire_time: datetime | None = row["expire_time"]
    return IdTag(
        text=row["id_tag"],
        parent=row["parent"],
        expire_time=expire_time,
        blocked=row["blocked"],
        max_active_transactions=row["max_active_transactions"],
        display_name=row["display_name"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        etag=row["etag"],
    )
