"""What is checked: `nox` runs all of it, `nox -l` lists it."""

import shutil
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13"]
PYTHON = PYTHONS[0]
CODE = ["src", "tests", "migrations", "benchmarks", "examples", "noxfile.py"]

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on both databases; arguments go to pytest."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHON)
def coverage(session: nox.Session) -> None:
    """Measure the branch coverage of the tests, in one process."""
    session.install(".[test]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-n", "0")
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session(python=PYTHON)
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff")
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)


@nox.session(python=PYTHON)
def types(session: nox.Session) -> None:
    """Check the types, with both checkers strict."""
    session.install("-e", ".[dev]")
    session.run("mypy")
    session.run("pyright")


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("-e", ".[docs]")
    site = Path(session.create_tmp()) / "site"
    session.run(
        "mkdocs", "build", "--strict", "--site-dir", str(site), env={"NO_MKDOCS_2_WARNING": "1"}
    )


@nox.session(python=PYTHON)
def migrations(session: nox.Session) -> None:
    """Go up, down and up again, by the command on SQLite and by the tests on both databases."""
    session.install(".[test]")
    url = f"sqlite:///{Path(session.create_tmp()) / 'migrations.db'}"
    for step in (["upgrade"], ["downgrade", "base", "--yes"], ["upgrade"], ["check"]):
        session.run("agentdb", "--url", url, *step)
    session.run("python", "-m", "pytest", "tests/migrations", "tests/migrate", "tests/contract")


@nox.session(python=PYTHON)
def soak(session: nox.Session) -> None:
    """Run the tests that have a full size at it, for as long as that takes.

    `nox -s soak -- 0.5` goes half-way, by factors: a test of 10 or 1,000 steps does 100.
    """
    session.install(".[test]")
    share, *arguments = session.posargs or ["1"]
    session.run("python", "-m", "pytest", "--soak", share, "--timeout", "7200", *arguments)


@nox.session(python=PYTHON, default=False)
def bench(session: nox.Session) -> None:
    """Measure, beside the raw driver and beside others; arguments go to the benchmarks.

    `nox -s bench -- run_queue --quick` sees that one workload runs, `nox -s bench -- --save` keeps
    the results of all in the documentation.
    """
    session.install(".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(python=PYTHON)
def package(session: nox.Session) -> None:
    """Build sdist and wheel, and use the wheel where nothing else is installed."""
    session.install("build")
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    (wheel,) = dist.glob("*.whl")
    session.install("--force-reinstall", str(wheel))
    # Away from the checkout, whose files would hide that the wheel lacks some.
    session.chdir(session.create_tmp())
    url = "sqlite:///package.db"
    Path("package.db").unlink(missing_ok=True)
    for step in (["upgrade"], ["check"], ["demo"], ["downgrade", "base", "--yes"]):
        session.run("agentdb", "--url", url, *step)
