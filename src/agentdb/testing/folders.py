"""Where the databases of tests lie."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_ROOM = 1 << 30
"""Bytes that a server and some copies may take together; Docker gives /dev/shm 64 MB by default."""


def scratch_folder() -> Path:
    """Return a new folder, in memory if there is room.

    A copy of the database is 350 small files: in memory it takes about 15 ms, on a disk 30 to 700.
    The paths are short as well: that of a socket stays below the 104 bytes which all kernels allow,
    while the folders of pytest, and the temporary folder of macOS, lie too deep.
    """
    return Path(tempfile.mkdtemp(prefix="agentdb-", dir=_parent()))


def _parent() -> str:
    memory, temporary = Path("/dev/shm"), Path("/tmp")  # noqa: S108 - mkdtemp makes it private
    if memory.is_dir() and os.access(memory, os.W_OK) and _free(memory) >= _ROOM:
        return str(memory)
    return str(temporary) if temporary.is_dir() else tempfile.gettempdir()


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
