"""Virtual environments that have what a package declares, and nothing else.

The dependencies are linked from the environment of the tests instead of downloaded: those that the
requirements name, and what these require in turn. A package that uses anything else fails here as
it would fail after an installation from the index. pip checks the versions when it installs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_SETTINGS = ("AGENTDB_", "COV_", "COVERAGE_", "PIP_", "PYTEST_", "PYTHON", "VIRTUAL_ENV")


def without_checkout() -> dict[str, str]:
    """Return the environment variables without what may lead to this checkout or configure it."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_SETTINGS)}


@dataclass(frozen=True)
class Environment:
    """A virtual environment without pip, made when it is asked for.

    Attributes:
        folder: Where it lies.
        variables: Environment variables of its commands beside those of the caller.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self._path("scripts") / "python"

    @property
    def packages(self) -> Path:
        """Where packages are installed."""
        return self._path("purelib")

    def create(self, requirements: Iterable[str]) -> None:
        """Make it, with what *requirements* need."""
        venv.create(self.folder, symlinks=True)
        for found in closure(requirements):
            self._link(found)

    def install(self, *arguments: str | Path) -> None:
        """Let pip install something whose dependencies are there."""
        pip = (sys.executable, "-m", "pip", "--isolated", "--quiet", "--python", self.python)
        subprocess.run(
            (*pip, "install", "--no-index", "--disable-pip-version-check", *arguments),
            check=True,
            env=without_checkout(),
        )

    def run(
        self, *command: str | Path, folder: Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment in *folder*, whatever comes of it."""
        program, *arguments = command
        return subprocess.run(
            [self._path("scripts") / program, *arguments],
            check=False,
            cwd=folder,
            env={**without_checkout(), **self.variables, **variables},
            capture_output=True,
            text=True,
        )

    def _link(self, found: Distribution) -> None:
        assert found.files is not None, f"{found.name} was not installed by an installer"
        # What lies outside are scripts; __pycache__ is shared by modules of one file.
        for name in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
            link = self.packages / name
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(name))).resolve())

    def _path(self, kind: str) -> Path:
        return Path(sysconfig.get_path(kind, "venv", {"base": str(self.folder)}))


def closure(requirements: Iterable[str]) -> Iterator[Distribution]:
    """Yield what *requirements* need, from the environment of the tests."""
    waiting = [Requirement(text) for text in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        found = distribution(requirement.name)
        for extra in {"", *requirement.extras}:
            if (key := (canonicalize_name(requirement.name), extra)) not in seen:
                seen.add(key)
                waiting.extend(needed(found.requires or (), extra))
        yield found


def needed(requirements: Iterable[str], extra: str = "") -> list[Requirement]:
    """Return those of *requirements* that hold here, for one extra."""
    parsed = [Requirement(text) for text in requirements]
    return [r for r in parsed if r.marker is None or r.marker.evaluate({"extra": extra})]
