"""Taking passwords out of what is printed about a failure."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import click

_KEY = "agentdb.secrets"
_MASK = "***"
# What follows the first colon: up to an @, or to the end of a URL that was cut off, unless it is a
# port.
_IN_A_URL = re.compile(r"(\w+://[^\s:/@'\"]*:)([^\s@]*(?=@)|(?!\d+(?:[\s/?'\"]|$))[^\s@'\"]+)")
_SECRET_PARAMETERS = {"password", "sslpassword"}


def remember(ctx: click.Context, url: str) -> None:
    """Note the passwords of *url*, which no output of this run of the command may hold."""
    secrets: set[str] = ctx.meta.setdefault(_KEY, set())
    secrets.update(secrets_of(url))


def secrets_of(url: str) -> set[str]:
    """Return the passwords in *url*, as they are written there and as they are meant."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no URL: what looks like one is hidden by its shape
        return set()
    parameters = (pair.partition("=") for pair in parts.query.split("&"))
    found = {parts.password, *(v for name, _, v in parameters if name in _SECRET_PARAMETERS)}
    written = {secret for secret in found if secret}
    return written | {unquote(secret) for secret in written}


def redact(ctx: click.Context, text: str) -> str:
    """Return *text* without the passwords of the command's database, or of any URL in it."""
    for secret in sorted(ctx.meta.get(_KEY, ()), key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return hide_passwords(text)


def hide_passwords(text: str) -> str:
    """Return *text* without what stands where URLs have their passwords."""
    return _IN_A_URL.sub(rf"\1{_MASK}", text)
