from agentdb import __version__
from tests.packaging.packages import Packages, sdist_files

FILES = {
    ".gitignore",
    ".squawk.toml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "PKG-INFO",
    "README.md",
    "mkdocs.yml",
    "noxfile.py",
    "pyproject.toml",
}
"""What lies outside of folders."""


def test_an_sdist_has_all_that_is_needed(packages: Packages) -> None:
    """To build, to test and to document; and nothing that only this checkout has."""
    assert sdist_files(packages.sdist) == packages.sources | FILES


def test_both_packages_have_the_version_of_the_library(packages: Packages) -> None:
    """By which installers tell them apart."""
    assert packages.sdist.name == f"agentdb-{__version__}.tar.gz"
    assert packages.wheel.name == f"agentdb-{__version__}-py3-none-any.whl"
