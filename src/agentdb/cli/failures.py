"""How the command fails: one sentence on stderr, and an exit code that tells the kind."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import IntEnum
from functools import partial

import click

from agentdb.cli.redaction import hide_passwords, redact


class ExitCode(IntEnum):
    """What the exit code of the command tells a script."""

    DONE = 0
    """Done."""
    FAILED = 1
    """Any other failure."""
    USAGE = 2
    """The call itself was wrong."""
    SCHEMA = 3
    """The schema is not the one that this release needs."""
    UNREACHABLE = 4
    """The database cannot be reached, or will not serve."""
    GAVE_UP = 5
    """Gave up waiting: another upgrader, a lock or a statement took too long."""
    INTERRUPTED = 130
    """Interrupted by Ctrl-C."""


class Failure(click.ClickException):
    """A failure that the command tells in one sentence."""

    exit_code = ExitCode.FAILED


class SchemaFailure(Failure):
    """The schema is not the one that this release needs."""

    exit_code = ExitCode.SCHEMA


class UnreachableFailure(Failure):
    """The database cannot be reached."""

    exit_code = ExitCode.UNREACHABLE


class GaveUpFailure(Failure):
    """What was waited for did not happen in time."""

    exit_code = ExitCode.GAVE_UP


@contextmanager
def told_parsing() -> Generator[None]:
    """Hide the passwords in what click says of a call that it cannot understand."""
    try:
        yield
    except click.ClickException as error:
        raise _hidden(error, hide_passwords) from None


@contextmanager
def told(ctx: click.Context) -> Generator[None]:
    """Turn what a command raises into its message and exit code, without any password.

    A defect keeps its traceback: it is no failure that the command knows.
    """
    try:
        yield
    except click.exceptions.Exit:
        raise
    except click.ClickException as error:
        raise _hidden(error, partial(redact, ctx)) from None
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # click ends quietly where the reader of the output has gone
        raise _told(ctx, error) from None


def _hidden(error: click.ClickException, hide: Callable[[str], str]) -> click.ClickException:
    text = error.format_message()
    hidden = hide(text)
    if hidden == text:
        return error
    if isinstance(error, click.UsageError):
        return click.UsageError(hidden, error.ctx)
    return (type(error) if isinstance(error, Failure) else Failure)(hidden)


def _told(ctx: click.Context, error: Exception) -> Exception:
    from agentdb.errors import AgentDBError  # noqa: PLC0415 -- imports SQLAlchemy

    if isinstance(error, AgentDBError):
        return _kind_of(error)(redact(ctx, str(error)))
    click.echo(redact(ctx, "".join(traceback.format_exception(error))), err=True, nl=False)
    return click.exceptions.Exit(ExitCode.FAILED)


def _kind_of(error: Exception) -> type[Failure]:
    from agentdb import errors  # noqa: PLC0415 -- imports SQLAlchemy

    match error:
        case errors.SchemaVersionError():
            return SchemaFailure
        case errors.UnavailableError():
            return UnreachableFailure
        case errors.DeadlineError() | errors.TransientError():
            return GaveUpFailure
        case _:
            return Failure
