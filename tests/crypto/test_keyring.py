from __future__ import annotations

import hashlib
import hmac
import os
import pickle
import subprocess
import sys
import traceback
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from typing import cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb.crypto import ENCRYPTION_KEYS, KeyRing, generate_key
from agentdb.errors import ConfigurationError, DecryptionError, InvalidValueError
from agentdb.models import StatusSubscription, TenantSignupInvite, UserRecoveryCode
from tests.crypto.rings import BOTH, KEYS, LOST, NEW, OLD, SECRET

ADA, BOB = UUID(int=1), UUID(int=2)
CANARY = urlsafe_b64encode(b"canary" * 5 + b"!!").decode()

owners = st.none() | st.uuids()


@given(st.binary(max_size=2000), owners)
def test_what_was_encrypted_is_decrypted(secret: bytes, owner: UUID | None) -> None:
    """Any bytes, with an owner and without."""
    stored = OLD.encrypt(secret, SECRET, owner=owner)

    assert OLD.decrypt(stored, SECRET, owner=owner) == secret
    assert BOTH.decrypt(stored, SECRET, owner=owner) == secret


def test_text_is_taken_as_utf_8() -> None:
    """A secret of an authenticator is text; a lone surrogate is refused without being quoted."""
    assert OLD.decrypt(OLD.encrypt("Zoë", SECRET, owner=ADA), SECRET, owner=ADA) == "Zoë".encode()
    with pytest.raises(InvalidValueError) as caught:
        OLD.encrypt("sk-canary\ud800", SECRET, owner=ADA)
    assert "canary" not in repr(caught.value)


def test_equal_secrets_have_different_ciphertexts() -> None:
    """So nobody sees in the database who has the same."""
    assert OLD.encrypt("x", SECRET, owner=ADA) != OLD.encrypt("x", SECRET, owner=ADA)


def test_the_primary_key_encrypts_and_the_value_says_so() -> None:
    """The id of the key stands in front of the token."""
    assert BOTH.encrypt("x", SECRET, owner=ADA).startswith(b"agentdb:1:new1:gAAAA")


@pytest.mark.parametrize(
    ("ring", "column", "owner", "reason"),
    [
        (OLD, SECRET, BOB, "damaged"),
        (OLD, SECRET, None, "damaged"),
        (OLD, StatusSubscription.target_encrypted, ADA, "damaged"),
        (NEW, SECRET, ADA, "unknown_key"),
        (KeyRing({"old1": KEYS["lost"]}), SECRET, ADA, "damaged"),
    ],
    ids=["other owner", "no owner", "other column", "unknown key", "other key of that id"],
)
def test_a_value_is_opened_in_its_place_by_its_key_alone(
    ring: KeyRing, column: object, owner: UUID | None, reason: str
) -> None:
    """Who can write to the database cannot give somebody else his own second factor."""
    stored = OLD.encrypt("sk-canary", SECRET, owner=ADA)

    with pytest.raises(DecryptionError) as caught:
        ring.decrypt(stored, column, owner=owner)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- pytest knows objects alone

    assert caught.value.reason == reason
    assert stored.decode() not in str(caught.value)


@given(st.binary(max_size=200))
def test_what_agentdb_did_not_encrypt_is_foreign(stored: bytes) -> None:
    """Whatever a host has put there by other means."""
    for read in (OLD.decrypt, OLD.rotate):
        with pytest.raises(DecryptionError) as caught:
            read(stored, SECRET, owner=ADA)
        assert caught.value.reason == "foreign"


@given(st.data())
def test_a_damaged_value_gives_no_other_secret(data: st.DataObject) -> None:
    """One byte changed, anywhere: a typed error, but where the last base64 digit says no more."""
    stored = bytearray(OLD.encrypt("a secret", SECRET, owner=ADA))
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))

    try:
        found = OLD.decrypt(bytes(stored), SECRET, owner=ADA)
    except DecryptionError as error:
        found = error.reason.encode()

    assert found in {b"a secret", b"damaged", b"foreign", b"unknown_key"}


@given(st.integers(0, 100))
def test_a_shortened_value_is_refused(length: int) -> None:
    """What was cut off is missed."""
    stored = OLD.encrypt("a secret", SECRET, owner=ADA)

    with pytest.raises(DecryptionError):
        OLD.decrypt(stored[: min(length, len(stored) - 3)], SECRET, owner=ADA)


def test_a_value_of_this_release_is_opened_by_later_ones() -> None:
    """How keys are derived, and how values look, is stored in the databases of hosts."""
    ring = KeyRing({"k": bytes(range(32))})

    assert ring.decrypt(STORED, SECRET, owner=ADA) == b"a secret"
    assert ring.digest("a token", TenantSignupInvite.token_hash) == DIGEST


STORED = (
    b"agentdb:1:k:gAAAAABrA4SJ-wk_1pE6AmXCqLnLSzryFTL3UeUCKKRnOnH4vbUxsaajQER6QeWIKKTP"
    b"hLrWam8Rv12nyAErlq5F9vuAEBrL7w=="
)
DIGEST = "k:75551a9ad7f63192a3fdfe5ef53f6558872fef4c8fd42c4822bfd8c1832ff066"


def test_keys_are_derived_as_rfc_5869_says() -> None:
    """A host can compute a digest without the library."""
    extracted = hmac.digest(bytes(32), KEYS["old1"], hashlib.sha256)
    info = b"agentdb\0001\0digest\0tenant_signup_invites.token_hash\0"
    derived = hmac.digest(extracted, info + b"\x01", hashlib.sha256)

    expected = hmac.new(derived, b"a token", hashlib.sha256).hexdigest()
    assert OLD.digest("a token", TenantSignupInvite.token_hash) == f"old1:{expected}"


def test_rotation_keeps_secret_and_time() -> None:
    """The token still says when the secret was stored."""
    stored = OLD.encrypt("a secret", SECRET, owner=ADA)

    rotated = BOTH.rotate(stored, SECRET, owner=ADA)

    assert NEW.decrypt(rotated, SECRET, owner=ADA) == b"a secret"
    times = {urlsafe_b64decode(value.split(b":")[-1])[1:9] for value in (stored, rotated)}
    assert len(times) == 1


def test_what_is_under_the_primary_key_is_not_rewritten() -> None:
    """The very value comes back."""
    stored = NEW.encrypt("a secret", SECRET, owner=ADA)

    assert BOTH.rotate(stored, SECRET, owner=ADA) is stored


@pytest.mark.parametrize("ring", [NEW, KeyRing({"new1": KEYS["new1"], "old1": KEYS["lost"]})])
def test_rotation_refuses_what_no_key_opens(ring: KeyRing) -> None:
    """An unknown key, and one of the same id that is another."""
    stored = OLD.encrypt("a secret", SECRET, owner=ADA)

    with pytest.raises(DecryptionError):
        ring.rotate(stored, SECRET, owner=ADA)


def test_a_digest_is_found_under_every_key() -> None:
    """The primary key makes it; under an older one it is looked up."""
    column = UserRecoveryCode.code_hash
    before = OLD.digest("a code", column)

    assert BOTH.digests("a code", column) == (NEW.digest("a code", column), before)
    assert BOTH.digest("a code", column) == NEW.digest("a code", column)
    assert before != OLD.digest("a code", TenantSignupInvite.token_hash)
    assert before != OLD.digest(b"another", column)


def test_the_longest_digest_fits_its_column() -> None:
    """A key id of 32 characters and 64 hex digits."""
    ring = KeyRing({"k" * 32: KEYS["old1"]})

    assert len(ring.digest("x" * 1000, UserRecoveryCode.code_hash)) <= 128


def test_the_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is the primary one; generate_key makes entries."""
    monkeypatch.setenv(ENCRYPTION_KEYS, f"{generate_key('new')},{generate_key('old')}")

    ring = KeyRing.from_env()

    assert ring.key_ids == ("new", "old")
    assert ring.decrypt(ring.encrypt("x", SECRET, owner=None), SECRET, owner=None) == b"x"


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_both_alphabets_of_base64_are_read(encode: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``openssl rand -base64 32`` prints a key, and as Fernet does."""
    text = b64encode(b"\xff" * 32) if encode is b64encode else urlsafe_b64encode(b"\xff" * 32)
    monkeypatch.setenv("KEYS", f"k:{text.decode()}")

    stored = KeyRing({"k": b"\xff" * 32}).encrypt("x", SECRET, owner=None)

    assert KeyRing.from_env("KEYS").decrypt(stored, SECRET, owner=None) == b"x"


@pytest.mark.parametrize(
    "value",
    [
        "",
        CANARY,
        f"k:{CANARY},",
        f":{CANARY}",
        f"k k:{CANARY}",
        f"k:{CANARY[:-4]}",
        f"k:{CANARY}canary",
        f"k:{CANARY}:more",
        f"{'k' * 33}:{CANARY}",
        f"k:{CANARY},k:{CANARY}",
        "k:Zoë",
    ],
)
def test_what_is_no_list_of_keys_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable, and neither it nor its traceback shows what is in it."""
    monkeypatch.setenv("KEYS", value)

    with pytest.raises(ConfigurationError, match="KEYS") as caught:
        KeyRing.from_env("KEYS")

    told = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    library = told.partition("crypto/keyring.py")[2]
    assert library
    assert not any(part in library for part in value.split(",") if len(part) > 8)


@pytest.mark.parametrize(
    "keys",
    [{}, {"k": b"short"}, {"k": cast("bytes", "x" * 32)}, {"no spaces": KEYS["old1"]}, {"": b""}],
)
def test_a_ring_refuses_what_is_no_key(keys: dict[str, bytes]) -> None:
    """At once, not at the first value."""
    with pytest.raises(ConfigurationError):
        KeyRing(keys)


def test_no_key_is_shown() -> None:
    """Not by the ring, nor by what it is made of; and it cannot be pickled."""
    shown = f"{BOTH!r} {BOTH} {[getattr(BOTH, name) for name in KeyRing.__slots__]!r}"

    assert repr(BOTH) == "<KeyRing new1, old1>"
    assert not any(repr(key)[2:-1] in shown for key in KEYS.values())
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(LOST)


def test_without_the_extra_the_error_names_it() -> None:
    """Importing works; making a ring says what to install."""
    program = """
import sys
sys.modules["cryptography"] = None
import agentdb, agentdb.crypto
from agentdb.errors import ConfigurationError
try:
    agentdb.crypto.KeyRing({"k": bytes(32)})
except ConfigurationError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert done.stdout == "encryption needs an extra: install agentdb[crypto]\n"
