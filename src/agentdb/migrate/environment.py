"""Alembic, as this library drives it. Imported when a revision is run, not before."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from agentdb.errors import SchemaVersionError
from agentdb.migrate.limits import Progress
from agentdb.migrate.revisions import script_location
from agentdb.search_path import mapped_schema

_COMMANDS: dict[str, Callable[[Config, str], None]] = {
    "upgrade": command.upgrade,
    "downgrade": command.downgrade,
    # Whatever was recorded before, known or not.
    "stamp": partial(command.stamp, purge=True),
}


def run(
    step: Literal["upgrade", "downgrade", "stamp"],
    connection: Connection,
    revision: str,
    progress: Progress | None = None,
    **attributes: object,
) -> None:
    """Run a command of Alembic over *connection*, in the transaction that it is in."""
    attributes |= {"connection": connection, "schema": mapped_schema(connection)}
    config = config_for({**attributes, "on_version_apply": _telling(progress)})
    with refusals():
        _COMMANDS[step](config, revision)


def written(span: str, *, dialect: str, schema: str | None, **attributes: object) -> str:
    """Return the SQL of the revisions in *span*, ``start:end``; downwards if end comes first."""
    buffer = io.StringIO()
    config = config_for({**attributes, "dialect": dialect, "schema": schema}, buffer)
    start, _, end = span.partition(":")
    falls = end == "base" or (start != "base" and end < start)
    with refusals():
        (command.downgrade if falls else command.upgrade)(config, span, sql=True)
    return buffer.getvalue()


def config_for(attributes: dict[str, object], output: io.StringIO | None = None) -> Config:
    """Return a configuration that reads no file and prints nothing."""
    config = Config(output_buffer=output, stdout=io.StringIO())
    # A path with a percent sign would be read as an interpolation.
    config.set_main_option("script_location", str(script_location()).replace("%", "%%"))
    config.attributes.update(attributes)
    return config


def _telling(progress: Progress | None) -> Callable[..., None]:
    def tell(*, step: Any, **_: object) -> None:
        if progress is not None:
            done = "applied" if step.is_upgrade else "took back"
            progress(f"{done} {step.up_revision_id}: {step.up_revision.doc}")

    return tell


@contextmanager
def refusals() -> Generator[None]:
    """Translate what Alembic raises by itself."""
    try:
        yield
    except CommandError as error:
        raise SchemaVersionError(f"the migrations do not fit the database: {error}") from error
