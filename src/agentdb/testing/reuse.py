"""What a session of tests leaves for the next: a server and migrated templates.

They are found again by a digest of the migrations, so that a changed one makes a new template.
"""

from __future__ import annotations

import os
from functools import cache
from hashlib import blake2b
from pathlib import Path

import agentdb.types
from agentdb.errors import ConfigurationError
from agentdb.migrate import script_location
from agentdb.testing.folders import scratch_parent


@cache
def fingerprint() -> str:
    """Return a digest of all that decides what an upgrade builds: the revisions and their types."""
    digest = blake2b(digest_size=8)
    folders = (script_location(), Path(agentdb.types.__file__).parent)
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def kept_folder(name: str) -> Path:
    """Return a folder that outlives the session; only this user can write to it.

    Raises:
        ConfigurationError: Somebody else has made a folder of its name.
    """
    parent = scratch_parent() / f"agentdb-reuse-{os.getuid()}"
    parent.mkdir(mode=0o755, exist_ok=True)
    found = parent.lstat()
    if parent.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ConfigurationError(f"{parent} is not ours alone: delete it, or do not reuse")
    folder = parent / name
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder
