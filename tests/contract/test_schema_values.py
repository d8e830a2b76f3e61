"""What the pydantic schemas accept, change and refuse."""

import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from agentdb import schemas
from agentdb.auth.values import UserStatus
from agentdb.conversations.models import AgentMessage
from agentdb.models import TenantSettings, User
from agentdb.orm import Base
from tests.contract.schema_examples import EMAILS, creates, row_of
from tests.contract.test_schemas import create_of, every_model, read_of

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
TENANT = UUID(int=1)

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def frame(**fields: object) -> dict[str, object]:
    """Return a recorded frame, with other or more fields."""
    return {
        "schema": "public_sse_v1",
        "kind": "message.delta",
        "stream_id": "stream_1",
        "event_id": 7,
        "server_timestamp": "2025-12-20T10:00:00.050Z",
        **fields,
    }


@every_model
@given(data=st.data())
@few
def test_create_makes_the_row_that_read_shows(model: type[Base], data: st.DataObject) -> None:
    """Every example of a Create schema is an entity, and its Read schema shows the same values."""
    create = data.draw(creates(create_of(model)))

    row = row_of(model, create)
    shown = read_of(model).model_validate(row)

    assert {name: getattr(row, name) for name in read_of(model).model_fields} == shown.model_dump()


@every_model
@given(data=st.data())
@few
def test_create_survives_json(model: type[Base], data: st.DataObject) -> None:
    """A Create schema sent as JSON arrives as it was, bytes included."""
    create = data.draw(creates(create_of(model)))

    assert create == create_of(model).model_validate_json(create.model_dump_json())


def test_an_email_address_is_stored_in_one_form() -> None:
    """Trimmed, NFC and lower-cased, whatever the caller wrote."""
    create = schemas.UserCreate(email="  Ada@E\u0301xample.ORG ", password_hash="x")

    assert create.email == "ada@\u00e9xample.org"


@pytest.mark.parametrize(
    "address", ["", "ab", "a.example", "a@b@c", "@b.c", "a@", "a@" + "b" * 254]
)
def test_what_is_no_email_address_is_refused(address: str) -> None:
    """The refusal is pydantic's own error, and its text does not repeat the value."""
    with pytest.raises(ValidationError) as caught:
        schemas.UserCreate(email=address, password_hash="x")

    assert caught.value.errors()[0]["loc"] == ("email",)
    assert address not in str(caught.value) or len(address) < 3


@given(address=EMAILS)
def test_billing_contacts_have_canonical_addresses(address: str) -> None:
    """An address inside a JSON column has the same form as one with a column of its own."""
    create = schemas.TenantSettingsCreate(
        tenant_id=TENANT, billing_contacts_json=[{"name": " Ada  L. ", "email": address.upper()}]
    )

    assert [{"name": "Ada L.", "email": address}] == create.billing_contacts_json


def test_a_name_is_tidied() -> None:
    """Names are trimmed and every run of white space in them becomes one blank."""
    assert schemas.TenantAccountCreate(slug="acme", name="  Acme \t Inc\n").name == "Acme Inc"


@pytest.mark.parametrize("name", ["", " ", " a "])
def test_a_tenant_needs_a_name_of_two_characters(name: str) -> None:
    """The length counts once the name is tidied."""
    with pytest.raises(ValidationError, match="at least"):
        schemas.TenantAccountCreate(slug="acme", name=name)


@pytest.mark.parametrize("slug", ["", "Acme", "acme-", "-acme", "a--b", "a_b", "é", "a" * 65])
def test_a_tenant_needs_a_slug(slug: str) -> None:
    """Lower-case letters and digits, joined by single hyphens, up to 64."""
    with pytest.raises(ValidationError, match="slug"):
        schemas.TenantAccountCreate(slug=slug, name="Acme")


def test_an_unknown_label_is_refused_on_create_and_shown_on_read() -> None:
    """A newer release may have stored a label that this one does not know: reading is no error."""
    row = User(email="a@b.c", password_hash="x")
    row.status = "frozen"  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]

    assert schemas.UserRead.model_validate(row).status == "frozen"
    with pytest.raises(ValidationError, match="'pending', 'active', 'disabled' or 'locked'"):
        schemas.UserCreate.model_validate(
            {"email": "a@b.c", "password_hash": "x", "status": "frozen"}
        )


def test_a_known_label_is_read_as_its_member() -> None:
    """Also from JSON, where it comes as text."""
    row = User(email="a@b.c", password_hash="x", status=UserStatus.LOCKED)
    text = schemas.UserRead.model_validate(row).model_dump_json()

    assert schemas.UserRead.model_validate_json(text).status is UserStatus.LOCKED


def test_unknown_fields_are_refused() -> None:
    """A misspelt field is an error, not a value that is silently lost."""
    with pytest.raises(ValidationError, match="extra_forbidden"):
        schemas.UserCreate.model_validate({"email": "a@b.c", "password_hash": "x", "state": "x"})


def test_an_error_does_not_repeat_a_secret() -> None:
    """Messages of validation end up in logs."""
    with pytest.raises(ValidationError) as caught:
        schemas.UserRecoveryCodeCreate(user_id=uuid4(), code_hash="hunter2" * 20)

    assert "hunter2" not in str(caught.value)


def test_a_frame_comes_back_as_it_was_recorded() -> None:
    """Fields that the library does not know stay, and time stamps keep their text."""
    recorded = frame(delta="Hi", scope={"type": "agent"})

    assert recorded == TypeAdapter(schemas.PublicFrame).validate_python(recorded)


@pytest.mark.parametrize("field", sorted(frame()))
def test_a_frame_needs_its_five_fields(field: str) -> None:
    """A frame without one of them cannot be placed in its stream."""
    recorded = frame()
    del recorded[field]

    with pytest.raises(ValidationError, match="missing"):
        TypeAdapter(schemas.PublicFrame).validate_python(recorded)


@pytest.mark.parametrize("stamp", ["yesterday", "2025-12-20T10:00:00.050", 1766224800])
def test_a_frame_needs_an_instant_with_a_time_zone(stamp: object) -> None:
    """A time stamp without a zone is no instant."""
    with pytest.raises(ValidationError, match="server_timestamp"):
        TypeAdapter(schemas.PublicFrame).validate_python(frame(server_timestamp=stamp))


def test_stored_json_of_another_shape_is_shown_as_it_is() -> None:
    """Objects that do not have the known shape are no error, and nothing in them is lost."""
    contacts = [{"name": "Ada"}, {"name": "Bob", "email": "b@c.d", "notify": "weekly"}]
    row = TenantSettings(tenant_id=TENANT, billing_contacts_json=contacts)

    assert contacts == schemas.TenantSettingsRead.model_validate(row).billing_contacts_json


def test_attachments_that_are_null_are_shown_as_none_at_all() -> None:
    """NULL and an empty list mean the same, and readers see the list."""
    row = AgentMessage(
        conversation_id=uuid4(),
        segment_id=uuid4(),
        position=0,
        role="user",
        content={"text": "Hi"},
        attachments=None,
    )
    row.id = 1

    assert schemas.AgentMessageRead.model_validate(row).attachments == []


def test_schemas_cannot_be_changed() -> None:
    """What was validated stays valid."""
    create = schemas.TenantAccountCreate(slug="acme", name="Acme")

    with pytest.raises(ValidationError, match="frozen"):
        create.slug = "ACME"  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_the_models_does_not_import_pydantic() -> None:
    """A worker that needs no schemas does not pay for them."""
    program = "import sys, agentdb.models; sys.exit('pydantic' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
