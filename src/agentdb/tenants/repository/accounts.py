"""Tenants."""

from __future__ import annotations

import re
import secrets
from typing import Any, NoReturn
from unicodedata import normalize
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, or_
from typing_extensions import override

from agentdb.canonical import MAX_SLUG, canonical_name, check_slug
from agentdb.errors import DuplicateError, InvalidValueError, ReferencedError
from agentdb.paging import Page
from agentdb.repository import Repository
from agentdb.sqlite_functions import FOLDED
from agentdb.tenants.models import TenantAccount
from agentdb.types import String

MIN_NAME = 2

SLUG_TRIES = 10

_HINT_LENGTH = MAX_SLUG - len("-0000")


def slugify(text: str) -> str:
    """Return the slug that *text* suggests; ``tenant`` where it has no letter or digit."""
    plain = normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_SLUG].rstrip("-")
    return slug or "tenant"


def _checked_name(name: str) -> str:
    name = canonical_name(name)
    if len(name) < MIN_NAME:
        message = f"a name has at least {MIN_NAME} characters"
        raise InvalidValueError(message, table="tenant_accounts", column="name")
    return name


class TenantAccountRepository(Repository[TenantAccount, UUID]):
    """Tenants."""

    model = TenantAccount

    async def create(self, name: str, slug: str) -> TenantAccount:
        """Store a new tenant, in a system unit.

        Args:
            name: 2 to 128 characters, trimmed, white space collapsed.
            slug: Lower-case letters, digits and single inner hyphens; 64 at the most.

        Raises:
            DuplicateError: The slug is taken.
            InvalidValueError: The name or the slug is none.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        return await self.add(TenantAccount(name=_checked_name(name), slug=check_slug(slug)))

    async def create_with_free_slug(
        self, name: str, *, slug_hint: str | None = None
    ) -> TenantAccount:
        """Store a new tenant under a slug that nobody has, in a system unit.

        N concurrent calls with one name make N tenants.

        Args:
            name: As of `create`.
            slug_hint: What the slug is made from instead of the name; where it is taken, a hyphen
                and four hexadecimal digits are added.

        Raises:
            DuplicateError: Ten slugs in a row were taken.
            InvalidValueError: The name is none, or the hint is no text.
            PermissionDeniedError: The unit belongs to a tenant.
        """
        name = _checked_name(name)
        wanted = slugify(name if slug_hint is None else canonical_name(slug_hint) or name)
        slug = wanted
        for _ in range(SLUG_TRIES):
            values = {"name": name, "slug": slug}
            tenant, created = await self.upsert(values, ["slug"], update=())
            if created:
                return tenant
            slug = f"{wanted[:_HINT_LENGTH]}-{secrets.token_hex(2)}"
        raise DuplicateError("no free slug was found", constraint="uq_tenant_accounts_slug")

    async def rename(
        self, key: UUID, *, name: str | None = None, slug: str | None = None
    ) -> TenantAccount:
        """Give a tenant another name, another slug or both, and return it.

        Args:
            key: The tenant; in a tenant's unit that one alone.
            name: As of `create`; the present one unless given.
            slug: As of `create`; the present one unless given.

        Raises:
            NotFoundError: There is no such tenant.
            DuplicateError: The slug is taken.
            InvalidValueError: The name or the slug is none.
        """
        values: dict[str, Any] = {} if name is None else {"name": _checked_name(name)}
        values |= {} if slug is None else {"slug": check_slug(slug)}
        return await self.update(key, **values)

    async def lock(self, key: UUID) -> TenantAccount:
        """Lock a tenant until the unit ends, and return it: the mutex of verbs about all of it.

        It comes before all other locks. Rows of the tenant can be inserted meanwhile; on SQLite a
        writing unit is alone anyway.

        Raises:
            NotFoundError: There is no such tenant.
        """
        return await self.require(key, lock=True)

    async def search(
        self, *, query: str | None = None, after: str | None = None, limit: int = 50
    ) -> Page[TenantAccount]:
        """Return a page of tenants, newest first; a tenant's unit sees that one alone.

        Args:
            query: Stands in the name or the slug, in any case; no character is special. On
                PostgreSQL the locale of the database says what is the same letter.
            after: Cursor of the page before; None starts.
            limit: Tenants of a page, 1 to 500.

        Raises:
            InvalidCursorError: The cursor is damaged or of another query.
            InvalidValueError: The limit is none.
        """
        where = [] if query is None else [self._mentions(canonical_name(query))]
        return await self._newest(*where, after=after, limit=limit)

    def _mentions(self, query: str) -> ColumnElement[bool]:
        """Return the condition that a name or a slug has *query* in it, without its case."""
        fold, find = ("lower", "strpos") if self.unit.is_postgresql else (FOLDED, "instr")
        wanted = getattr(func, fold)(literal(query, String()))
        columns = (TenantAccount.name, TenantAccount.slug)
        return or_(*(getattr(func, find)(getattr(func, fold)(c), wanted) > 0 for c in columns))

    async def by_slug(self, slug: str) -> TenantAccount | None:
        """Return the tenant with this slug, if any."""
        return await self._by(TenantAccount.slug, slug)

    @override
    async def delete(self, key: UUID, *, include_deleted: bool = False) -> NoReturn:
        """Refuse: tables refer to tenants without a foreign key, and their rows would stay.

        Raises:
            ReferencedError: Always; `operations.erase_tenant` erases a tenant.
        """
        raise ReferencedError("a tenant is erased by `operations.erase_tenant`")
