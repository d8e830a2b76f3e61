"""Finding the tenant that a command is about."""

from __future__ import annotations

from uuid import UUID

import click

from agentdb.canonical import check_slug
from agentdb.unit_of_work import UnitOfWork


async def find_tenant(uow: UnitOfWork, slug: str, *, create: bool = False) -> UUID:
    """Return the id of the tenant with this slug, in a system unit.

    Raises:
        ClickException: There is none, and it shall not be created.
        InvalidValueError: It shall be created, and the slug is none.
    """
    tenant = await uow.tenant_accounts.by_slug(slug)
    if tenant is None and create:
        values = {"slug": check_slug(slug), "name": slug}
        # Another process may create it at this moment.
        tenant, _ = await uow.tenant_accounts.upsert(values, ["slug"], update=())
    if tenant is None:
        raise click.ClickException(f"there is no tenant with the slug {slug!r}")
    return tenant.id
