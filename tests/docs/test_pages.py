"""The Python of README and documentation is true: it runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "migrations" / "README.md"]
EXAMPLES = list(ROOT.glob("examples/*.py"))

TEST_MODULES = {
    "docs/how-to/factories.md",
    "docs/how-to/faults.md",
    "docs/how-to/test-a-host.md",
    "docs/reference/testing.md",
}
"""Pages whose Python is a test module."""

FRAGMENTS = {"CONTRIBUTING.md"}
"""Pages whose Python shows a shape and cannot run: recipes with names that do not exist."""


def name_of(page: Path) -> str:
    """Return the path of a page from the root of the project."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[str]:
    """Return the blocks of a page that are marked as Python."""
    return re.findall(
        r"^ *```python.*?\n(.*?)^ *```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


WITH_PYTHON = {name_of(page): page for page in PAGES if blocks(page)}


@pytest.mark.parametrize("name", sorted(WITH_PYTHON.keys() - TEST_MODULES - FRAGMENTS))
def test_the_python_of_a_page_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks of a page are one program, top to bottom, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTDB_DATABASE_URL", raising=False)
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(WITH_PYTHON[name])
    examples = list(document.examples())

    for example in examples:
        example.evaluate()

    assert len(blocks(WITH_PYTHON[name])) == len(examples)


@pytest.mark.parametrize("name", sorted(TEST_MODULES))
def test_the_tests_of_a_page_pass(name: str, pytester: pytest.Pytester) -> None:
    """A host copies them into its own suite."""
    pytester.makepyfile("\n".join(blocks(WITH_PYTHON[name])))
    pytester.makeini("[pytest]\nasyncio_mode = auto\n")

    result = pytester.runpytest_subprocess("-p", "no:randomly")

    assert result.ret == 0
    assert result.parseoutcomes()["passed"] > 0


def test_every_exception_is_a_page_with_python() -> None:
    """The lists above name nothing that is gone."""
    assert set() == (TEST_MODULES | FRAGMENTS) - WITH_PYTHON.keys()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_run(example: Path, agentdb_empty_url: str) -> None:
    """Each is a whole program, on both databases."""
    result = subprocess.run(
        [sys.executable, example, agentdb_empty_url],
        check=True,
        capture_output=True,
        text=True,
    )

    assert result.stderr == ""
    assert "assistant: You asked: Where is my order? It is on its way." in result.stdout
