"""The options that several commands share; they may stand before or after a command's name.

Each has an environment variable. The command line wins over it, and what stands after the name of
the command over what stands before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource
from typing_extensions import override

from agentdb.cli.redaction import remember

if TYPE_CHECKING:
    from agentdb.migrate import Limits

PLATFORM = "agentdb.platform_url"

Decorated = TypeVar("Decorated", bound="Callable[..., Any] | click.Command")
Decorator = Callable[[Decorated], Decorated]


class Inherited(click.Option):
    """An option of a command that takes its value from the group unless it is given itself."""

    @override
    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        value, source = super().consume_value(ctx, opts)
        name, root = self.name or "", ctx.find_root()
        if source is ParameterSource.COMMANDLINE or name not in root.params:
            return value, source
        return root.params[name], root.get_parameter_source(name) or ParameterSource.DEFAULT


def chosen_url(ctx: click.Context, _: click.Parameter, given: str | None) -> str:
    """Return the URL of the command line or of the environment, else the embedded default.

    Raises:
        ConfigurationError: It is no URL of a database that agentdb speaks.
        UsageError: It names a database in memory, which would be gone when the command ends.
    """
    if ctx.resilient_parsing:
        return ""  # a shell asks for completions, which should not wait for SQLAlchemy
    from agentdb import urls  # noqa: PLC0415 -- imports SQLAlchemy

    url = given or urls.EMBEDDED_DEFAULT
    remember(ctx, url)
    if urls.is_memory(urls.async_url(url)):
        raise click.UsageError("a database in memory would be gone when the command ends", ctx)
    return url


def noted_platform(ctx: click.Context, _: click.Parameter, given: str | None) -> None:
    """Note the URL of the role that runs units of the system: `databases.opened` takes it."""
    if given and not ctx.resilient_parsing:
        remember(ctx, given)
        ctx.meta[PLATFORM] = given


def explicit(ctx: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """Return what the command line says: the environment may name a production database."""
    source = ctx.get_parameter_source(parameter.name or "")
    if source is not ParameterSource.COMMANDLINE or not given:
        return None
    remember(ctx, given)
    return given


def seconds(_ctx: click.Context, _: click.Parameter, given: float | None) -> float | None:
    """Return a time that can be waited for.

    Raises:
        BadParameter: It is negative, infinite or no number.
    """
    if given is not None and not 0 <= given < inf:
        raise click.BadParameter("expects seconds, 0 or more")
    return given


_SHARED: dict[str, dict[str, Any]] = {
    "--url": {
        "metavar": "URL",
        "envvar": "AGENTDB_DATABASE_URL",
        "show_default": "agentdb.sqlite3 in the working directory",
        "help": "Database, postgresql://… or sqlite:///….",
        "short": "postgresql://… or sqlite://…",
    },
    "--schema": {
        "metavar": "NAME",
        "envvar": "AGENTDB_SCHEMA",
        "help": "Schema that holds the tables; PostgreSQL.",
        "short": "schema that holds the tables",
    },
    "--platform-url": {
        "metavar": "URL",
        "envvar": "AGENTDB_PLATFORM_DATABASE_URL",
        "help": "The same database, by the role that row-level security does not bind.",
    },
    "--json": {
        "is_flag": True,
        "envvar": "AGENTDB_JSON",
        "help": "Print the result as one JSON document.",
        "short": "print one JSON document",
    },
    "--wait": {
        "type": float,
        "callback": seconds,
        "metavar": "SECONDS",
        "envvar": "AGENTDB_UPGRADE_WAIT",
        "show_default": "300",
        "help": "How long to wait for other upgraders, and for locks on tables.",
    },
    "--lock-timeout": {
        "type": float,
        "callback": seconds,
        "metavar": "SECONDS",
        "envvar": "AGENTDB_LOCK_TIMEOUT",
        "show_default": "0.4",
        "help": "How long one try to lock a table takes; 0 sets no limit. PostgreSQL.",
    },
    "--statement-timeout": {
        "type": float,
        "callback": seconds,
        "metavar": "SECONDS",
        "envvar": "AGENTDB_STATEMENT_TIMEOUT",
        "show_default": "no limit",
        "help": "How long a statement may run; 0 sets no limit. PostgreSQL.",
    },
}
_CALLBACKS = {"--url": chosen_url}
_NAMES = {"--json": ("as_json",)}


def of_group(command: Decorated) -> Decorated:
    """Give the group all shared options; its help shows those that have a short text."""
    for flag, attributes in reversed(_SHARED.items()):
        short = attributes.get("short")
        brief = {"help": short, "hidden": short is None, "show_default": None, "show_envvar": True}
        command = _option(flag, attributes | brief)(command)
    return command


def inherited(flag: str, **attributes: Any) -> Decorator[Any]:
    """Return the decorator that gives a command the shared option *flag*."""
    settings = {"callback": _CALLBACKS.get(flag), "show_envvar": True, "cls": Inherited}
    return _option(flag, settings | _SHARED[flag] | attributes)


def setting(flag: str, envvar: str, **attributes: Any) -> Decorator[Any]:
    """Return the decorator of an option that one command has, with its environment variable."""
    return _option(flag, {"envvar": envvar, "show_envvar": True, **attributes})


def _option(flag: str, settings: dict[str, Any]) -> Decorator[Any]:
    settings.pop("short", None)
    return click.option(flag, *_NAMES.get(flag, ()), **settings)


def limit_options(command: Decorated) -> Decorated:
    """Give a command the limits of a migration."""
    for flag in reversed(("--wait", "--lock-timeout", "--statement-timeout")):
        command = inherited(flag)(command)
    return command


def limits_of(
    wait: float | None, lock_timeout: float | None, statement_timeout: float | None
) -> Limits:
    """Return the limits that the options tell; those that are not given have their defaults."""
    from agentdb.migrate import Limits  # noqa: PLC0415 -- imports SQLAlchemy
    from agentdb.migrate.limits import DEFAULT_LIMITS as DEFAULT  # noqa: PLC0415 -- the same

    return Limits(
        wait=DEFAULT.wait if wait is None else wait,
        lock_timeout=DEFAULT.lock_timeout if lock_timeout is None else lock_timeout or None,
        statement_timeout=(
            DEFAULT.statement_timeout if statement_timeout is None else statement_timeout or None
        ),
    )


def batch_option(default: int) -> Decorator[Any]:
    """Return the decorator that gives a command the size of its batches."""
    return setting(
        "--batch",
        "AGENTDB_BATCH",
        type=click.IntRange(1, 10_000),
        default=default,
        show_default=True,
        metavar="N",
        help="Rows of one transaction.",
    )


url_option = inherited("--url")
platform_option = inherited("--platform-url", callback=noted_platform, expose_value=False)
schema_option = inherited("--schema")
json_option = inherited("--json")
