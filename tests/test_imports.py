"""What may import what: the layers of the package, and what importing a part of it costs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import agentdb

SOURCE = Path(agentdb.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
MODELS = sorted(SOURCE.glob("*/models.py"))
FOUNDATION = {"agentdb.orm", "agentdb.columns", "agentdb.types"}


def name_of(module: Path) -> str:
    """Return the dotted name of a module."""
    parts = module.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(module: Path, *, at_run_time: bool = False) -> set[str]:
    """Return the modules that a module imports, anywhere in it or all but for type checkers."""
    return set(_imported(ast.parse(module.read_text("utf-8")), at_run_time))


def _imported(tree: ast.AST, at_run_time: bool) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _from(node)
        elif not (at_run_time and _is_for_type_checkers(node)):
            yield from _imported(node, at_run_time)


def _from(node: ast.ImportFrom) -> Iterator[str]:
    module = "." * node.level + (node.module or "")
    yield module
    # `from agentdb import cli` imports the module that it names.
    yield from (f"{module}.{alias.name}" for alias in node.names if module == "agentdb")


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def loaded_by(module: str) -> set[str]:
    """Return the top-level packages that a new interpreter has loaded after importing *module*."""
    code = f"import {module}, sys; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return {name.partition(".")[0] for name in result.stdout.split()}


def test_the_package_is_found_whole() -> None:
    """The rules below are read from the source of all 13 domains, not from an empty folder."""
    assert len(MODELS) == 13


@pytest.mark.parametrize("module", MODELS, ids=name_of)
def test_models_import_the_foundation_alone(module: Path) -> None:
    """Models of one domain load without those of the others, which only type checkers see."""
    own = f"agentdb.{module.parent.name}.values"
    ours = {name for name in imports_of(module, at_run_time=True) if name.startswith("agentdb")}

    assert set() == ours - FOUNDATION - {own}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_are_absolute(module: Path) -> None:
    """A search for the name of a module finds everything that imports it."""
    assert set() == {name for name in imports_of(module) if name.startswith(".")}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_nobody_imports_the_command_line(module: Path) -> None:
    """Whatever the command does, a program can do without it."""
    commands = {name for name in imports_of(module) if f"{name}.".startswith("agentdb.cli.")}
    is_command = f"{name_of(module)}.".startswith(("agentdb.cli.", "agentdb.__main__."))

    assert is_command or set() == commands


def test_models_load_without_schemas_migrations_and_commands() -> None:
    """A host that only maps the tables does not pay for what it does not use."""
    unused = {"pydantic", "click", "rich", "alembic"}

    assert set() == unused & loaded_by("agentdb.models")


def test_a_database_loads_neither_migrations_nor_a_driver_that_it_does_not_use() -> None:
    """They would be half of the start of a service whose database is up to date."""
    unused = {"pydantic", "click", "rich", "alembic", "mako", "psycopg", "cryptography"}

    assert set() == unused & loaded_by("agentdb.database, agentdb.conversations.rows")


@pytest.mark.parametrize("module", ["agentdb.database", "agentdb.crypto", "agentdb.cli"])
def test_cryptography_is_loaded_by_key_rings_alone(module: str) -> None:
    """It is an extra: nobody else needs it."""
    assert "cryptography" not in loaded_by(module)


@pytest.mark.parametrize("module", ["agentdb.database", "agentdb.integrations", "agentdb.cli"])
def test_fastapi_is_loaded_by_its_integration_alone(module: str) -> None:
    """It is an extra, too."""
    assert set() == {"fastapi", "starlette"} & loaded_by(module)


def test_models_are_set_up_when_they_are_used_first() -> None:
    """It takes a third of the time of the import, and commands that read no rows never need it."""
    code = (
        "import agentdb; agentdb.Database, agentdb.NewMessage;"
        "print(any(mapper.configured for mapper in agentdb.Base.registry.mappers))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )

    assert result.stdout == "False\n"


def test_the_bare_package_loads_without_sqlalchemy() -> None:
    """Its names load on first use, so importing one part does not import the whole."""
    assert "sqlalchemy" not in loaded_by("agentdb")
