"""The ``agentdb`` command.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import click

from agentdb import __version__
from agentdb.cli import (
    adoption,
    completion,
    doctor,
    downgrades,
    encryption,
    maintain,
    migrations,
    rls,
    streams,
    stripe,
    tables,
    tenant_data,
    verdicts,
    worker,
)
from agentdb.cli.groups import Commands
from agentdb.cli.options import of_group

EPILOG = "Exit codes: 0 done, 1 failed, 2 usage, 3 schema, 4 no database, 5 gave up."

SECTIONS = (
    (
        "Change the schema",
        (
            migrations.upgrade,
            downgrades.downgrade,
            migrations.stamp,
            migrations.sql,
            adoption.adopt,
            rls.rls,
        ),
    ),
    ("Look at it", verdicts.COMMANDS),
    (
        "Streams, runs, tenants",
        (
            *streams.COMMANDS,
            worker.worker,
            stripe.stripe,
            tenant_data.tenant,
        ),
    ),
    (
        "Upkeep, this release",
        (
            maintain.maintain,
            encryption.rotate_keys,
            *tables.COMMANDS,
            doctor.doctor,
            completion.completion,
        ),
    ),
)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)
@of_group
@click.version_option(__version__, prog_name="agentdb")
def main(**_: object) -> None:
    """Set up an agentdb database, look at it, store and replay event streams."""


main.sections = SECTIONS
for _, commands in SECTIONS:
    for command in commands:
        main.add_command(command)
