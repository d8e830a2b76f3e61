"""Schemas of tenants and their settings."""

from typing import Annotated, NotRequired

from annotated_types import MinLen
from pydantic import Field
from typing_extensions import TypedDict

from agentdb.columns import Int, JsonDict, Str64, Str128, Str512, UuidRef
from agentdb.schema import (
    AwareInstant,
    CreateSchema,
    EmailAddress,
    Name128,
    ReadSchema,
    Shaped,
    Slug,
    json_shape,
)


@json_shape
class BillingContact(TypedDict):
    """Somebody who is told of invoices and payments."""

    name: Name128
    email: EmailAddress
    role: NotRequired[str | None]
    phone: NotRequired[str | None]
    notify: NotRequired[bool]
    """Yes, unless it says no."""


class TenantAccountRead(ReadSchema):
    """A tenant."""

    id: UuidRef
    slug: Str64
    name: Str128
    created_at: AwareInstant


class TenantAccountCreate(CreateSchema):
    """A tenant to be made."""

    slug: Slug
    name: Annotated[Name128, MinLen(2)]


class TenantSettingsRead(ReadSchema):
    """What a tenant has configured."""

    id: UuidRef
    tenant_id: UuidRef
    billing_contacts_json: list[Shaped[BillingContact]]
    billing_webhook_url: Str512 | None
    plan_metadata_json: JsonDict
    flags_json: JsonDict
    """Switches by name; those that begin with ``feature.`` are set by the operator alone."""
    version: Int
    """Counts the writes; a writer may name the version that it expects."""
    created_at: AwareInstant
    updated_at: AwareInstant


class TenantSettingsCreate(CreateSchema):
    """The first settings of a tenant."""

    tenant_id: UuidRef
    billing_contacts_json: list[BillingContact] = Field(default_factory=list[BillingContact])
    billing_webhook_url: Str512 | None = None
    plan_metadata_json: JsonDict = Field(default_factory=dict)
    flags_json: JsonDict = Field(default_factory=dict)
    version: Int = 1
