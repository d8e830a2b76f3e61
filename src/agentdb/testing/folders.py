"""Where the databases of tests lie, and who clears them away."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from weakref import finalize

_ROOM = 1 << 30
"""Bytes that a server and some copies may take together; Docker gives /dev/shm 64 MB by default."""

# Reads until this process is gone, however it ended; what it reads are servers to stop.
_WATCH = """
while read -r line; do server=$line; done
if [ -n "$server" ] && kill -QUIT "$server"; then sleep 1; fi
rm -rf "$1"
"""


class ScratchFolder:
    """A new folder, in memory if there is room; it goes when this process does, even if killed.

    A copy of the database is 350 small files: in memory it takes about 15 ms, on a disk 30 to 700.
    The paths are short as well: that of a socket stays below the 104 bytes which all kernels allow,
    while the folders of pytest, and the temporary folder of macOS, lie too deep.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="agentdb-", dir=scratch_parent()))
        self._watch = _watch(self.path)
        self._finalizer = finalize(self, _clear, self.path, self._watch)

    def guard(self, server: int) -> None:
        """Have a server in the folder stopped as well when this process is killed.

        Args:
            server: The id of its first process.
        """
        if self._watch is not None and self._watch.stdin is not None:
            self._watch.stdin.write(f"{server}\n".encode())
            self._watch.stdin.flush()

    def delete(self) -> None:
        """Delete the folder."""
        self._finalizer()


def _watch(folder: Path) -> subprocess.Popen[bytes] | None:
    if os.name != "posix":
        return None
    command = ["/bin/sh", "-c", _WATCH, "sh", str(folder)]
    return subprocess.Popen(  # noqa: S603 - our own script
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the tests.
    )


def _clear(folder: Path, watch: subprocess.Popen[bytes] | None) -> None:
    if watch is not None:
        watch.kill()
        watch.communicate()
    shutil.rmtree(folder, ignore_errors=True)


def scratch_parent() -> Path:
    """Return where folders of tests are made: in memory if there is room."""
    memory, temporary = Path("/dev/shm"), Path("/tmp")  # noqa: S108 - mkdtemp makes it private
    if memory.is_dir() and os.access(memory, os.W_OK) and _free(memory) >= _ROOM:
        return memory
    return temporary if temporary.is_dir() else Path(tempfile.gettempdir())


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
