import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.packaging.environments import Environment, needed
from tests.packaging.packages import Packages, metadata_of

HOST = Path(__file__).with_name("sample-host")


@pytest.fixture
def host(packages: Packages, runtime: list[str], tmp_path: Path) -> tuple[Environment, Path]:
    """The project of a host with all that it declares, agentdb and its extras from the wheel."""
    folder = Path(shutil.copytree(HOST, tmp_path / "host"))
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    declared = project["project"]["dependencies"] + project["dependency-groups"]["test"]
    environment = Environment(tmp_path / "environment")
    environment.create([*runtime, *_downloaded(declared, packages)])
    environment.install(packages.wheel)
    return environment, folder


def _downloaded(declared: list[str], packages: Packages) -> Iterator[str]:
    """Yield what an installer would bring beside the wheel; for its extras, what they need."""
    requires = metadata_of(packages.wheel).requires or ()
    for requirement in map(Requirement, declared):
        if requirement.name != "agentdb":
            yield str(requirement)
        for extra in requirement.extras:
            yield from map(str, needed(requires, extra))


def test_the_tests_of_a_host_pass(host: tuple[Environment, Path]) -> None:
    """On both databases, with nothing of its own but its tables; warnings are errors."""
    environment, folder = host
    command = ("python", "-m", "pytest", "--agentdb-backend=both", "--strict-markers", "--tb=short")

    result = environment.run(*command, folder=folder)

    assert result.returncode == pytest.ExitCode.OK, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1].strip("= ").startswith("20 passed in ")
