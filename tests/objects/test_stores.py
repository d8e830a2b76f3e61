from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agentdb.errors import InvalidValueError, NotFoundError, UnavailableError
from agentdb.objects import FolderObjectStore, MemoryObjectStore, ObjectStore


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Return an empty store."""
    return MemoryObjectStore() if request.param == "memory" else FolderObjectStore(tmp_path / "o")


async def test_what_is_put_is_got(store: ObjectStore) -> None:
    """A key leads to the bytes that were stored last."""
    await store.put("a/b/c.json.gz", b"one")
    await store.put("a/b/c.json.gz", b"two")
    await store.put("a/b/d", b"")

    assert await store.get("a/b/c.json.gz") == b"two"
    assert await store.get("a/b/d") == b""


async def test_what_is_deleted_is_gone(store: ObjectStore) -> None:
    """Deleting tells whether there was something, and a read then finds nothing."""
    await store.put("a/b", b"one")

    assert [await store.delete("a/b"), await store.delete("a/b")] == [True, False]
    for key in ("a/b", "a", "a/b/c", "nothing"):
        with pytest.raises(NotFoundError):
            await store.get(key)


async def test_a_store_says_what_it_is(store: ObjectStore) -> None:
    """Provider and bucket fit their columns."""
    assert 0 < len(store.provider) <= 16
    assert 0 < len(store.bucket) <= 128


BAD = [
    "",
    "/etc/passwd",
    "../outside",
    "a/../../outside",
    "a/./b",
    "a//b",
    "a/",
    ".hidden",
    "a\\..\\b",
    "c:/x",
    "a\x00b",
    "a\nb",
    "\ud800",
    "x" * 513,
    "a/" + "é" * 128,
]


@pytest.mark.parametrize("key", BAD)
async def test_a_key_that_could_lead_elsewhere_is_refused(store: ObjectStore, key: str) -> None:
    """Absolute, relative, hidden and unprintable names store nothing."""
    with pytest.raises(InvalidValueError):
        await store.put(key, b"x")


async def test_no_key_leads_through_a_link_out_of_the_folder(tmp_path: Path) -> None:
    """A symbolic link within the folder is no way out of it, for reads and writes."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store = FolderObjectStore(tmp_path / "objects")
    await store.put("a/b", b"x")
    (tmp_path / "objects" / "link").symlink_to(outside)

    for call in (
        store.get("link/secret"),
        store.put("link/new", b"x"),
        store.delete("link/secret"),
    ):
        with pytest.raises(InvalidValueError):
            await call
    assert [path.name for path in outside.iterdir()] == ["secret"]


async def test_no_key_is_a_link_out_of_the_folder(tmp_path: Path) -> None:
    """Nor is the last part of a key one; a link that leads to itself is no object either."""
    (tmp_path / "secret").write_bytes(b"secret")
    store = FolderObjectStore(tmp_path / "objects")
    await store.put("a/b", b"x")
    (tmp_path / "objects" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "objects" / "loop").symlink_to("loop")

    for call in (store.get("link"), store.put("link", b"x"), store.delete("link")):
        with pytest.raises(InvalidValueError):
            await call
    with pytest.raises(UnavailableError):
        await store.get("loop")
    assert (tmp_path / "secret").read_bytes() == b"secret"


async def test_the_first_part_of_a_key_is_no_object(store: ObjectStore) -> None:
    """There is nothing to delete under it."""
    await store.put("a/b", b"one")

    assert not await store.delete("a")
    assert await store.get("a/b") == b"one"


async def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that ends before its time leaves the old object and no other file."""
    store = FolderObjectStore(tmp_path)
    await store.put("a/b", b"old")

    def fail(_: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(UnavailableError, match="cannot be used"):
        await store.put("a/b", b"new")

    assert await store.get("a/b") == b"old"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


async def test_concurrent_writes_of_a_key_leave_one_of_them_whole(tmp_path: Path) -> None:
    """Whoever reads meanwhile sees one object or the other, never a part."""
    store = FolderObjectStore(tmp_path)
    contents = [bytes([number]) * 100_000 for number in range(8)]
    await store.put("a", contents[0])
    written = asyncio.gather(*(store.put("a", content) for content in contents))
    seen = [await store.get("a") for _ in range(20)]
    await written

    assert set(seen) | {await store.get("a")} <= set(contents)


async def test_the_bucket_of_a_folder_is_its_name_unless_given(tmp_path: Path) -> None:
    """Two folders of one name can be told apart by a bucket."""
    assert FolderObjectStore(tmp_path / "frames").bucket == "frames"
    assert FolderObjectStore(tmp_path / "frames", bucket="eu").bucket == "eu"
