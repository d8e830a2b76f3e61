import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

from agentdb import __version__
from tests.packaging.environments import needed
from tests.packaging.packages import (
    ROOT,
    Packages,
    build,
    metadata_of,
    sdist_files,
    unpack,
    wheel_files,
)

INFO = f"agentdb-{__version__}.dist-info"
DESCRIBED = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
DATA = {
    "agentdb/data/demo.ndjson",
    "agentdb/migrations/README.md",
    "agentdb/migrations/script.py.mako",
    "agentdb/py.typed",
}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """What pyproject.toml says of the project."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project


@pytest.fixture(scope="module")
def metadata(packages: Packages) -> Metadata:
    """What the wheel says of itself, which is valid by the specification."""
    return Metadata.from_email(wheel_files(packages.wheel)[f"{INFO}/METADATA"])


def test_a_wheel_has_no_stray_files(packages: Packages) -> None:
    """Modules, the data that they read, and the description: nothing else."""
    files = wheel_files(packages.wheel).keys()
    modules = {name for name in files if name.endswith(".py")}

    assert files - modules == DATA | {f"{INFO}/{name}" for name in DESCRIBED}
    assert {PurePosixPath(name).parts[0] for name in modules} == {"agentdb"}
    assert not {part for name in modules for part in name.split("/")} & {"tests", "__pycache__"}


def test_a_wheel_has_all_of_the_package(packages: Packages) -> None:
    """Each file of the package and of its migrations, which lie beside it in the sources."""
    sources = sdist_files(packages.sdist)
    package = {name.removeprefix("src/") for name in sources if name.startswith("src/")}
    migrations = {f"agentdb/{name}" for name in sources if name.startswith("migrations/")}

    described = {f"{INFO}/{name}" for name in DESCRIBED}
    assert wheel_files(packages.wheel).keys() - described == package | migrations


def test_the_sdist_makes_the_same_wheel(packages: Packages) -> None:
    """Byte for byte: who builds from the sdist gets what is published."""
    assert packages.rebuilt.name == packages.wheel.name
    assert wheel_files(packages.rebuilt) == wheel_files(packages.wheel)


def test_a_build_leaves_out_what_lies_about(packages: Packages, tmp_path: Path) -> None:
    """Compiled files, also those beside the migrations, and the databases of trials."""
    source = unpack(packages.sdist, tmp_path)
    for name in ("src/agentdb/__pycache__/a.pyc", "migrations/versions/__pycache__/b.pyc"):
        (source / name).parent.mkdir()
        (source / name).touch()
    for name in ("migrations/c.pyc", "tests/d.pyc", "agentdb.sqlite3", ".coverage"):
        (source / name).touch()

    wheel, sdist = sorted(build(source, tmp_path / "dist"), key=lambda file: file.suffix != ".whl")

    assert wheel_files(wheel) == wheel_files(packages.wheel)
    assert sdist_files(sdist) == sdist_files(packages.sdist)


def test_a_wheel_says_what_the_project_says(metadata: Metadata, project: dict[str, Any]) -> None:
    """Version, Python, licence with its file, the README, and that it is typed."""
    assert (metadata.name, str(metadata.version)) == ("agentdb", __version__)
    assert str(metadata.requires_python) == project["requires-python"]
    assert (metadata.license_expression, metadata.license_files) == ("MIT", ["LICENSE"])
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description == (ROOT / "README.md").read_text("utf-8")
    assert "Typing :: Typed" in (metadata.classifiers or ())


def test_a_wheel_declares_its_requirements(packages: Packages, project: dict[str, Any]) -> None:
    """Those of the library without any extra, and those of each extra under its name."""
    found = metadata_of(packages.wheel).requires or []
    always = set(needed(found))

    assert always == set(map(Requirement, project["dependencies"]))
    for extra, declared in project["optional-dependencies"].items():
        # An extra that names others has theirs instead of the names.
        own = {shown(Requirement(text)) for text in declared} - {"agentdb"}
        assert own <= {shown(each) for each in needed(found, extra)}, extra


def shown(requirement: Requirement) -> str:
    """Return a requirement without its extras' marker; "agentdb" for one of the project itself."""
    return (
        "agentdb" if requirement.name == "agentdb" else str(requirement).partition(";")[0].strip()
    )


def test_a_wheel_brings_the_command_and_the_plugin(packages: Packages) -> None:
    """Installers make the script of the one, pytest finds the other."""
    found = metadata_of(packages.wheel).entry_points

    assert {(entry.group, entry.name, entry.value) for entry in found} == {
        ("console_scripts", "agentdb", "agentdb.cli:main"),
        ("pytest11", "agentdb", "agentdb.pytest_plugin"),
    }
