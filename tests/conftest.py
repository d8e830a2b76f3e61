"""What all tests share; their databases come from the plugin that agentdb ships."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from tests.sizes import FIXTURE, OPTION, Size

pytest_plugins = ["pytester"]

MOST_WORKERS = 8
"""Each has a server of PostgreSQL, and takes some seconds to collect the tests."""

# The suite gives the same verdict every time; `HYPOTHESIS_PROFILE=hunt` looks for new examples.
common = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("suite", common, derandomize=True, max_examples=20)
settings.register_profile("hunt", common, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_configure() -> None:
    """Let the processes of tests be interrupted, also where the suite runs in the background.

    A shell without job control starts such a command with SIGINT ignored, which is inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let the whole suite use all cores; ``-n 0`` keeps it in one process.

    A part of it is done sooner without workers. A debugger has none to talk to, and ``--soak`` is
    to have the machine for one test at a time.
    """
    option = config.option
    chosen = getattr(option, "numprocesses", 0) is not None or option.dist != "no"
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    alone = hasattr(config, "workerinput") or option.usepdb or option.trace
    if is_whole and not (chosen or alone or config.getoption(OPTION)):
        option.numprocesses = "logical"
        option.maxprocesses = option.maxprocesses or MOST_WORKERS


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--soak``."""
    parser.addoption(
        OPTION,
        nargs="?",
        type=float,
        const=1.0,
        default=0.0,
        metavar="SHARE",
        help="run the tests that have a full size: at it, or so far towards it (0.5 is half-way)",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what has no full size when it is asked for."""
    if config.getoption(OPTION):
        sized = [item for item in items if FIXTURE in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=[item for item in items if item not in sized])
        items[:] = sized


@pytest.fixture(scope="session")
def size(pytestconfig: pytest.Config) -> Size:
    """How large the test is: ``size(16, full=64)``."""
    share: float = pytestconfig.getoption(OPTION) or 0.0
    return Size(share=share)
