"""Statements to a PostgreSQL server in one round trip, by the parts that the driver is made of.

A cursor of the driver for each of them, and a look at the socket between two, cost more than all
else that a client does for a short statement. So the statements are written to libpq one after the
other, and the connection waits once, for the answers of all. How values are written, what is
prepared and how rows are read is the driver's: its cursors and these share one store of prepared
statements.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from psycopg import adapt, pq
from psycopg._preparing import Prepare
from psycopg._queries import PostgresQuery
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, send

from agentdb.direct import Row

if TYPE_CHECKING:
    from psycopg.abc import Transformer
    from psycopg.pq.abc import PGconn, PGresult

_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)


class Command(Protocol):
    """What is sent.

    Attributes:
        text: As the driver takes it, with its placeholders.
        parameters: Likewise.
        is_done: Is set once it has succeeded.
    """

    text: str
    parameters: Any
    is_done: bool


class _Sent(NamedTuple):
    """A statement that the server has, and how it is prepared there.

    Attributes:
        key: What it is counted by, if its answer decides whether it goes on to be.
    """

    prepare: Prepare
    name: bytes
    key: Any


async def run_pipeline(driver: Any, commands: Sequence[Command]) -> list[list[Row]]:
    """Run statements on a connection of the driver, and return the rows of each.

    Each has a snapshot of its own, as if it were sent alone; the first that fails ends it. What a
    cancelled task has sent is cancelled on the server.

    Raises:
        psycopg.Error: A statement failed, or the connection is lost.
    """
    async with driver.lock:
        rows: list[list[Row]] = await driver.wait(_run(driver, commands))
    return rows


def _run(driver: Any, commands: Sequence[Command]) -> Generator[Any, Any, list[list[Row]]]:
    # A driver that begins transactions by itself does so first.
    yield from driver._start_query()  # noqa: SLF001
    pgconn: PGconn = driver.pgconn
    transformer: Transformer = adapt.Transformer(driver)
    # All are written before the first is sent: a value that is refused leaves nothing half done.
    queries = [_write(transformer, command) for command in commands]
    pgconn.enter_pipeline_mode()
    sent = [_send(pgconn, driver._prepared, query) for query in queries]  # noqa: SLF001
    # Without a Flush behind it: a server that gets one stops the clock of
    # ``idle_in_transaction_session_timeout``, and so never ends the transaction of a client that
    # stands still.
    pgconn.pipeline_sync()
    yield from send(pgconn)
    answers = yield from _fetch(pgconn, sent)
    pgconn.exit_pipeline_mode()
    for one, answer in zip(sent, answers, strict=True):
        if one.key is not None:
            driver._prepared.validate(one.key, one.prepare, one.name, [answer])  # noqa: SLF001
    rows = [_rows(transformer, *pair) for pair in zip(commands, answers, strict=True)]
    # What is no longer to be prepared is given up; after a failure there is a rollback first.
    yield from driver._prepared.maintain_gen(driver)  # noqa: SLF001
    return rows


def _write(transformer: Transformer, command: Command) -> PostgresQuery:
    query = PostgresQuery(transformer)
    query.convert(_encoded(command.text), command.parameters)
    return query


@lru_cache(maxsize=512)
def _encoded(text: str) -> bytes:
    """Return the same bytes for the same text: their hash is reckoned once."""
    return text.encode()


def _send(pgconn: PGconn, prepared: Any, query: PostgresQuery) -> _Sent:
    prepare, name = prepared.get(query)
    if prepare is Prepare.NO:
        pgconn.send_query_params(
            query.query, query.params, param_types=query.types, param_formats=query.formats
        )
    else:
        if prepare is Prepare.SHOULD:
            pgconn.send_prepare(name, query.query, param_types=query.types)
        pgconn.send_query_prepared(name, query.params, param_formats=query.formats)
    key = prepared.maybe_add_to_cache(query, prepare, name)
    return _Sent(prepare, name, prepared.key(query) if prepare is Prepare.SHOULD else key)


def _fetch(pgconn: PGconn, sent: Sequence[_Sent]) -> Generator[Any, Any, list[PGresult]]:
    """Return what decides about each: its answer, or that to its preparation if this failed."""
    answers: list[PGresult] = []
    for one in sent:
        answer = None
        if one.prepare is Prepare.SHOULD:
            (answer,) = yield from fetch_many(pgconn)
        (then,) = yield from fetch_many(pgconn)
        answers.append(then if answer is None or answer.status not in _FAILED else answer)
    yield from fetch_many(pgconn)  # the end of the pipeline
    return answers


def _rows(transformer: Transformer, command: Command, answer: PGresult) -> list[Row]:
    if answer.status in _FAILED:
        raise error_from_result(answer, encoding=transformer.encoding)
    command.is_done = True
    if answer.status != pq.ExecStatus.TUPLES_OK:
        return []
    transformer.set_pgresult(answer, set_loaders=True, format=pq.Format.TEXT)
    rows: list[Row] = transformer.load_rows(0, answer.ntuples, tuple)
    return rows
