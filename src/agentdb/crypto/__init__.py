"""Encryption of what the ``*_encrypted`` columns hold, and keyed digests for the ``*_hash`` ones.

Needs the extra ``crypto``, but only once a `KeyRing` is made. A host may bring its own encryption
instead: the columns take any bytes.
"""

from agentdb.crypto.columns import ENCRYPTED, EncryptedColumn
from agentdb.crypto.keyring import ENCRYPTION_KEYS, KeyRing
from agentdb.crypto.keys import generate_key
from agentdb.crypto.rotation import RotationReport, Unopened, rotate_keys

__all__ = [
    "ENCRYPTED",
    "ENCRYPTION_KEYS",
    "EncryptedColumn",
    "KeyRing",
    "RotationReport",
    "Unopened",
    "generate_key",
    "rotate_keys",
]
