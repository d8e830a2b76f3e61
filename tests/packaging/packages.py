"""Wheel and sdist, built as they are published."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from typing import Any
from zipfile import Path as ZipPath
from zipfile import ZipFile

from tests.packaging.environments import without_checkout

ROOT = Path(__file__).parents[2]

_FOLDERS = ("src", "migrations", "tests", "docs", "examples", "benchmarks", ".ci")
_CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"}


@dataclass(frozen=True)
class Packages:
    """What a release consists of, and what others make of it.

    Attributes:
        wheel: Built from the checkout.
        sdist: Built from the checkout.
        rebuilt: The wheel that was built from the sdist.
        sources: The files in the folders of the checkout when they were built.
    """

    wheel: Path
    sdist: Path
    rebuilt: Path
    sources: frozenset[str]


def build_packages(folder: Path) -> Packages:
    """Build all of them below *folder*."""
    (wheel,) = build(ROOT, folder / "checkout", "--wheel")
    rebuilt, sdist = sorted(build(ROOT, folder / "sdist"), key=lambda file: file.suffix != ".whl")
    return Packages(wheel, sdist, rebuilt, sources())


def sources() -> frozenset[str]:
    """Return the paths of the files below the checkout's folders that somebody wrote."""
    return frozenset(
        path.relative_to(ROOT).as_posix()
        for folder in _FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and not _CACHES.intersection(path.parts)
    )


def build(source: Path, folder: Path, *options: str) -> list[Path]:
    """Build *source* into *folder*, by default an sdist and from that a wheel.

    The backend is the one of this environment, so that nothing is downloaded.
    """
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, *options, source],
        check=True,
        cwd=folder,
        env=without_checkout(),
        stdout=subprocess.DEVNULL,
    )
    return list(folder.iterdir())


def wheel_files(wheel: Path) -> dict[str, bytes]:
    """Return what a wheel holds, by path."""
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sdist_files(sdist: Path) -> set[str]:
    """Return the paths in an sdist, below its one folder."""
    with tarfile.open(sdist) as archive:
        names = [member.name for member in archive if not member.isdir()]
    folder = sdist.name.removesuffix(".tar.gz")
    assert {name.partition("/")[0] for name in names} == {folder}
    return {name.removeprefix(f"{folder}/") for name in names}


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist, and return its folder."""
    # Filters came with 3.11.4, and later releases warn where none is chosen.
    options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **options)  # noqa: S202 -- of our own making
    return folder / sdist.name.removesuffix(".tar.gz")


def metadata_of(wheel: Path) -> Distribution:
    """Return what an installer reads of a wheel."""
    (folder,) = (entry for entry in ZipPath(wheel).iterdir() if entry.name.endswith(".dist-info"))
    return PathDistribution(folder)
