"""The command that works on queued runs; what it does loads when it runs."""

from __future__ import annotations

import click

from agentdb.cli.failures import ExitCode
from agentdb.cli.options import (
    PLATFORM,
    platform_option,
    schema_option,
    seconds,
    setting,
    url_option,
)
from agentdb.cli.output import tell


def positive(_ctx: click.Context, _: click.Parameter, given: float) -> float:
    """Return a time that is more than none.

    Raises:
        BadParameter: It is 0, negative, or longer than a day.
    """
    day = 86_400.0
    if not 0 < given <= day:
        raise click.BadParameter("expects seconds, more than 0 and at most a day")
    return given


@click.command(short_help="work on queued runs")
@click.argument("function", metavar="MODULE:FUNCTION")
@setting(
    "--slots",
    "AGENTDB_WORKER_SLOTS",
    type=click.IntRange(min=1, max=1000),
    default=1,
    show_default=True,
    metavar="N",
    help="Runs at a time.",
)
@setting(
    "--lease",
    "AGENTDB_WORKER_LEASE",
    type=float,
    callback=positive,
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a worker may be silent before its run is taken over; the same for all.",
)
@setting(
    "--max-attempts",
    "AGENTDB_WORKER_MAX_ATTEMPTS",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="How often a run is tried.",
)
@setting(
    "--poll",
    "AGENTDB_WORKER_POLL",
    type=float,
    callback=positive,
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks for a run, unless a hint comes before.",
)
@setting(
    "--drain",
    "AGENTDB_WORKER_DRAIN",
    type=float,
    callback=seconds,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long runs may go on after a signal to stop.",
)
@url_option
@platform_option
@schema_option
def worker(  # noqa: PLR0917 -- click passes options by name
    function: str,
    slots: int,
    lease: float,
    max_attempts: int,
    poll: float,
    drain: float,
    url: str,
    schema: str | None,
) -> None:
    """Work on queued runs with FUNCTION, a coroutine function of MODULE.

    It is called with the database and the run, as `await FUNCTION(database, item)`. When it
    returns, the run is completed; when it raises, the run is tried again. MODULE is searched in the
    working directory too.

    SIGTERM, and Ctrl-C, stop it: it claims no more, and ends when what runs has ended. Runs that
    are left when the time for it is over, or at the second signal, are cancelled, and ready for
    other workers; the exit code is then 5.
    """
    from agentdb.worker import command  # noqa: PLC0415 -- imports SQLAlchemy

    terms = command.terms(lease=lease, max_attempts=max_attempts, poll=poll)
    handler = command.load(function)
    job = command.Job(
        url=url,
        platform_url=click.get_current_context().meta.get(PLATFORM),
        schema=schema,
        handler=handler,
        slots=slots,
        drain=drain,
    )
    if not command.work(job, terms, tell):
        raise click.exceptions.Exit(ExitCode.GAVE_UP)
