"""Keys for one purpose each, and what they do; the only module that loads cryptography."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agentdb.crypto.keys import KEY_BYTES, Key
from agentdb.errors import DecryptionError


def seal(key: Key, purpose: str, owner: UUID | None, secret: bytes) -> bytes:
    """Return a new token of *secret*."""
    return _cipher(key, purpose, owner).encrypt(secret)


def unseal(key: Key, purpose: str, owner: UUID | None, token: bytes) -> bytes:
    """Return the secret in a token.

    Raises:
        DecryptionError: The key, the purpose or the owner is another, or it is ``damaged``.
    """
    try:
        return _cipher(key, purpose, owner).decrypt(token)
    except InvalidToken:
        raise _damaged() from None


def reseal(old: Key, new: Key, purpose: str, owner: UUID | None, token: bytes) -> bytes:
    """Return a token of the same secret, and of the same time, under another key.

    Raises:
        DecryptionError: As `unseal`.
    """
    ciphers = MultiFernet([_cipher(key, purpose, owner) for key in (new, old)])
    try:
        return ciphers.rotate(token)
    except InvalidToken:
        raise _damaged() from None


def digest_key(key: Key, purpose: str) -> bytes:
    """Return the key of the digests in one column."""
    return _derived(key, b"digest", purpose, b"")


def _cipher(key: Key, purpose: str, owner: UUID | None) -> Fernet:
    # Fernet takes no associated data. A key of its own for each place does as much: what was moved
    # elsewhere is not opened there.
    place = _derived(key, b"encrypt", purpose, b"" if owner is None else owner.bytes)
    return Fernet(urlsafe_b64encode(place))


def _derived(key: Key, use: bytes, purpose: str, owner: bytes) -> bytes:
    """Derive a key as RFC 5869 does; a master key is uniform, so that no salt is needed."""
    info = b"\0".join((b"agentdb", b"1", use, purpose.encode("utf-8"), owner))
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key.secret)


def _damaged() -> DecryptionError:
    return DecryptionError(
        "the value is damaged, or belongs to another place or key", reason="damaged"
    )
