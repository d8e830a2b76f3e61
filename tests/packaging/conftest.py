"""The packages, which are built once, and the ways to have them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.packaging.environments import Environment, needed
from tests.packaging.packages import ROOT, Packages, build_packages, metadata_of

# It is the suite of another project, and runs there.
collect_ignore = ["sample-host"]


@dataclass(frozen=True)
class Installation:
    """A way to have agentdb.

    Attributes:
        environment: The virtual environment.
        command: What stands for ``agentdb``.
        home: The folder that the package must come from.
    """

    environment: Environment
    command: tuple[str, ...]
    home: Path


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Wheel and sdist of this checkout."""
    return build_packages(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def runtime(packages: Packages) -> list[str]:
    """What the wheel declares that it needs."""
    return [str(each) for each in needed(metadata_of(packages.wheel).requires or ())]


@pytest.fixture(scope="session")
def wheel(
    packages: Packages, runtime: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """The wheel, installed."""
    return installed(tmp_path_factory.mktemp("wheel"), runtime, packages.wheel)


@pytest.fixture(scope="session")
def rebuilt(
    packages: Packages, runtime: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    """The wheel that was built from the sdist, installed."""
    return installed(tmp_path_factory.mktemp("rebuilt"), runtime, packages.rebuilt)


@pytest.fixture(scope="session")
def editable(runtime: list[str], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The checkout, installed for those who work on it."""
    environment = Environment(tmp_path_factory.mktemp("editable"))
    environment.create([*runtime, "hatchling", "editables"])
    environment.install("--no-build-isolation", "--editable", ROOT)
    return Installation(environment, ("agentdb",), ROOT / "src")


@pytest.fixture(scope="session")
def checkout(runtime: list[str], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The checkout, not installed."""
    variables = {"PYTHONPATH": str(ROOT / "src")}
    environment = Environment(tmp_path_factory.mktemp("checkout"), variables)
    environment.create(runtime)
    return Installation(environment, ("python", "-m", "agentdb"), ROOT / "src")


@pytest.fixture(scope="session", params=["wheel", "rebuilt", "editable", "checkout"])
def installation(request: pytest.FixtureRequest) -> Installation:
    """Each way to have agentdb, in an environment of its own."""
    found: Installation = request.getfixturevalue(request.param)
    return found


def installed(folder: Path, runtime: list[str], wheel: Path) -> Installation:
    """Install a wheel in a new environment."""
    environment = Environment(folder)
    environment.create(runtime)
    environment.install(wheel)
    return Installation(environment, ("agentdb",), environment.packages)
