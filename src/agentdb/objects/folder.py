"""A store in a folder of the file system."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from agentdb.errors import InvalidValueError, NotFoundError, UnavailableError
from agentdb.objects.store import key_parts

PROVIDER = "filesystem"


class FolderObjectStore:
    """Objects as files below a folder; the parts of a key are its subfolders.

    A write is atomic: readers, in other processes too, see the old object or the new one, and after
    a crash one of the two is there. No key leads out of the folder, symbolic links included. The
    work is done in threads, so the event loop goes on.

    Attributes:
        provider: ``filesystem``.
        bucket: Name of the bucket.
        root: The folder; made when the first object is stored.
    """

    def __init__(self, root: str | os.PathLike[str], *, bucket: str | None = None) -> None:
        """Choose the folder.

        Args:
            root: The folder.
            bucket: Name of the bucket, unique within a tenant; None takes that of the folder.
        """
        self.provider = PROVIDER
        self.root = Path(root).resolve()
        self.bucket = bucket or self.root.name

    async def put(self, key: str, content: bytes) -> None:
        """Store *content* under *key*, in place of what was there; durable on return.

        Raises:
            InvalidValueError: The key is none, or leads out of the folder.
            UnavailableError: The folder cannot be written.
        """
        await asyncio.to_thread(self._put, key, content)

    async def get(self, key: str) -> bytes:
        """Return what is stored under *key*.

        Raises:
            NotFoundError: There is nothing.
            InvalidValueError: The key is none, or leads out of the folder.
            UnavailableError: The folder cannot be read.
        """
        return await asyncio.to_thread(self._get, key)

    async def delete(self, key: str) -> bool:
        """Remove what is stored under *key*; False if there was nothing.

        Raises:
            InvalidValueError: The key is none, or leads out of the folder.
            UnavailableError: The folder cannot be written.
        """
        return await asyncio.to_thread(self._delete, key)

    def _path(self, key: str) -> Path:
        path = self.root.joinpath(*key_parts(key))
        with _failures():
            # Also where the name itself is a link; a write replaces it, and does not follow it.
            inside = path.resolve().is_relative_to(self.root)
            if not inside or not path.parent.resolve().is_relative_to(self.root):
                raise InvalidValueError("the key leads out of the folder")
        return path

    def _put(self, key: str, content: bytes) -> None:
        path = self._path(key)
        with _failures():
            path.parent.mkdir(parents=True, exist_ok=True)
            # A leading dot: no key names an unfinished file.
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(path)
            except BaseException:
                with suppress(FileNotFoundError):
                    Path(name).unlink()
                raise
            _sync_folder(path.parent)

    def _get(self, key: str) -> bytes:
        path = self._path(key)
        with _failures():
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise NotFoundError("no such object in the store") from None

    def _delete(self, key: str) -> bool:
        path = self._path(key)
        with _failures():
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                # The name of a folder is none of an object; some systems call it forbidden.
                if path.is_dir() or not path.exists():
                    return False
                raise
            return True


@contextmanager
def _failures() -> Generator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # the latter of a loop of links
        raise UnavailableError("the folder of the objects cannot be used") from error


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file durable, where the system lets folders be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
