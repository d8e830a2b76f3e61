"""Steps that send SQL as text past the session: only policies stand in its way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import psycopg

from agentdb.errors import PermissionDeniedError
from tests.rows import MODELS, table_of
from tests.tenancy.fuzz.columns import columns_of, columns_to_write
from tests.tenancy.fuzz.drawing import Draw
from tests.tenancy.fuzz.population import KEPT, OPERATOR, SHARED
from tests.tenancy.fuzz.sides import Call, Side
from tests.tenancy.fuzz.steps import Step

Writer = Callable[[Draw, str], str]


async def run(side: Side, sql: str) -> Any:
    """Send SQL by the connection; return its rows, or how many it changed."""
    connection = await side.connection()
    result = await connection.exec_driver_sql(sql.replace("%", "%%"))
    return result.all() if result.returns_rows else result.rowcount


async def run_all(side: Side, statements: list[str]) -> Any:
    """Send several statements; return what all of them found."""
    return [row for sql in statements for row in _listed(await run(side, sql))]


def _listed(found: Any) -> Iterable[Any]:
    return cast("Iterable[Any]", found if isinstance(found, list) else ())


async def copy_out(side: Side, sql: str) -> list[str]:
    """Return the rows of a COPY."""
    connection = await side.connection()
    raw: Any = (await connection.get_raw_connection()).driver_connection
    try:
        async with raw.cursor() as cursor, cursor.copy(f"COPY ({sql}) TO STDOUT") as copy:
            return [bytes(line).decode() async for line in copy]
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionDeniedError("the server refuses the COPY") from error


def read(draw: Draw) -> Step:
    """Draw a query; a table of a tenant answers it."""
    table = draw.table()
    kind = draw.rng.random()
    sql = _query(draw, table)
    answered = not _names_closed(sql)
    if kind < 0.08:
        return Step(f"COPY ({sql})", lambda side: copy_out(side, sql), answered=answered)
    if kind < 0.25:
        several = draw.among([_by_cursor, _prepared])(sql, draw.rng.randrange(10**6))
        name = "; ".join(several)
        return Step(name, lambda side: run_all(side, several), answered=answered)
    return Step(sql, lambda side: run(side, sql), answered=answered)


def write(draw: Draw) -> Step:
    """Draw a change of the rows that are seen."""
    table = draw.table()
    made = draw.among([_update, _update, _delete, _merge, _written_in_cte, _joined_write])
    # Rows that are kept are changed, and not deleted.
    sql = (_update if table in KEPT else made)(draw, table)
    answered = table not in SHARED and not _names_closed(sql)
    undone = draw.chance(0.2)
    call: Call = lambda side: run(side, sql)  # noqa: E731 -- as short as it is
    return Step(sql, call, table, writes=True, answered=answered, undone=undone)


def _names_closed(sql: str) -> bool:
    return any(name in sql for name in OPERATOR)


def text_of(draw: Draw, table: str, alias: str) -> str:
    """Draw a column as text."""
    return f"{alias}.{draw.among(columns_of(table)).name}::text"


def where(draw: Draw, table: str, alias: str) -> str:
    """Draw a condition, with values of whatever tenant."""
    column = draw.among(columns_of(table)).name
    one = f"{alias}.{column}::text"
    value, other = (quoted(draw.value(table, column)) for _ in range(2))
    inner = draw.table(other=True)
    choices = [
        "true",
        f"{one} = {value}",
        f"{one} <> {value}",
        f"{one} IN ({value}, {other})",
        f"{one} BETWEEN {value} AND {other}",
        f"{one} LIKE '%' || {value}",
        f"{one} IS NOT NULL",
        f"NOT ({one} = {value})",
        f"({one} = {value} OR {text_of(draw, table, alias)} > {other})",
        f"EXISTS (SELECT FROM {inner} i WHERE {text_of(draw, inner, 'i')} = {one})",
        f"{one} IN (SELECT {text_of(draw, inner, 'i')} FROM {inner} i)",
        f"{one} NOT IN (SELECT coalesce({text_of(draw, inner, 'i')}, '') FROM {inner} i)",
    ]
    return draw.among(choices)


def failing(draw: Draw, table: str, alias: str) -> str:
    """Draw a condition that fails on some rows: not on those which must not be seen."""
    one = text_of(draw, table, alias)
    return draw.among([f"1 / (length({one}) - {draw.among([1, 5, 36])}) >= 0", f"{one}::int > 0"])


def quoted(value: str) -> str:
    """Return a literal."""
    return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _query(draw: Draw, table: str) -> str:
    other = draw.table(other=True)
    one, two = text_of(draw, table, "a"), text_of(draw, other, "b")
    condition, second = where(draw, table, "a"), where(draw, other, "b")
    counted = f"SELECT count(*) n FROM {other} b WHERE {two} = {one}"
    rows = f"SELECT * FROM {table} a WHERE {condition}"
    choices = [
        f"SELECT {one} FROM {table} a",
        f"SELECT {one}, {text_of(draw, table, 'a')} FROM {table} a WHERE {condition}",
        f"SELECT count(*), min({one}), sum(length({one})) FROM {table} a WHERE {condition}",
        f"SELECT row_to_json(a)::text FROM {table} a WHERE {condition}",
        f"SELECT to_jsonb(a)::text FROM {table} a",
        f"SELECT string_agg({one}, ',' ORDER BY {one}) FROM {table} a WHERE {condition}",
        f"SELECT {one}, count(*) FROM {table} a GROUP BY 1 HAVING count(*) > 0",
        f"SELECT {one}, count(*) OVER () FROM {table} a",
        f"SELECT {one}, {two} FROM {table} a JOIN {other} b ON {one} = {two}",
        f"SELECT {one}, {two} FROM {table} a LEFT JOIN {other} b ON {second}",
        f"SELECT {one}, {two} FROM {table} a FULL JOIN {other} b ON {one} = {two}",
        f"SELECT {one}, b.n FROM {table} a, LATERAL ({counted}) b",
        f"SELECT {one} FROM {table} a UNION ALL SELECT {two} FROM {other} b WHERE {second}",
        f"SELECT {one} FROM {table} a EXCEPT SELECT {two} FROM {other} b",
        f"SELECT {one} FROM {table} a INTERSECT SELECT {one} FROM {table} a WHERE {condition}",
        f"WITH c AS MATERIALIZED ({rows}) SELECT a::text FROM c a",
        f"SELECT (SELECT max({two}) FROM {other} b WHERE {two} >= {one}) FROM {table} a",
        f"SELECT word, ndoc FROM ts_stat('SELECT to_tsvector(''simple'', a::text) FROM {table} a')",
        f"SELECT coalesce(max(({one} COLLATE \"C\")), '-') FROM ONLY {table} a",
        f"SELECT a::text FROM {table} a TABLESAMPLE BERNOULLI (100)",
        f"SELECT {one} FROM {table} a ORDER BY 1 OFFSET 1",
        f"SELECT bool_or({condition}) FROM {table} a",
        f"SELECT count(*) FROM {table} a WHERE {failing(draw, table, 'a')}",
    ]
    return draw.among(choices)


def _by_cursor(sql: str, number: int) -> list[str]:
    name = f"c{number}"
    return [f"DECLARE {name} CURSOR FOR {sql}", f"FETCH ALL FROM {name}", f"CLOSE {name}"]


def _prepared(sql: str, number: int) -> list[str]:
    name = f"p{number}"
    return [f"PREPARE {name} AS {sql}", f"EXECUTE {name}", f"DEALLOCATE {name}"]


def _set(draw: Draw, table: str) -> str:
    """Draw what an UPDATE sets, which makes no row another's."""
    columns = columns_to_write(table)
    if not columns:
        key = next(iter(table_of(MODELS[table]).primary_key)).name
        return f"{key} = {key}"
    column = draw.among(columns).name
    return draw.among([f"{column} = {column}", f"{column} = {_literal(table, column)}"])


def _literal(table: str, column: str) -> str:
    kind = str(table_of(MODELS[table]).c[column].type.python_type.__name__)
    values = {"str": "'hack'", "int": "7", "bool": "false", "datetime": "'2999-01-01Z'"}
    return values[kind]


def _update(draw: Draw, table: str) -> str:
    sql = f"UPDATE {table} a SET {_set(draw, table)}"
    if draw.chance(0.7):
        made = draw.among([where, where, where, failing])
        sql += f" WHERE {made(draw, table, 'a')}"
    return sql + draw.among(["", f" RETURNING {text_of(draw, table, 'a')}"])


def _delete(draw: Draw, table: str) -> str:
    sql = f"DELETE FROM {table} a"
    if draw.chance(0.7):
        sql += f" WHERE {where(draw, table, 'a')}"
    return sql + draw.among(["", f" RETURNING {text_of(draw, table, 'a')}"])


def _joined_write(draw: Draw, table: str) -> str:
    other = draw.table(other=True)
    if draw.chance(0.5):
        on = f"{text_of(draw, table, 'a')} = {text_of(draw, other, 'b')}"
        return f"DELETE FROM {table} a USING {other} b WHERE {on} AND {where(draw, other, 'b')}"
    return (
        f"UPDATE {table} a SET {_set(draw, table)} FROM {other} b WHERE {where(draw, other, 'b')}"
    )


def _merge(draw: Draw, table: str) -> str:
    keys = [column.name for column in table_of(MODELS[table]).primary_key]
    on = " AND ".join(f"a.{key} = b.{key}" for key in keys)
    then = draw.among(["DELETE", f"UPDATE SET {_set(draw, table)}"])
    return (
        f"MERGE INTO {table} a USING (SELECT * FROM {table}) b ON {on}"
        f" WHEN MATCHED AND {where(draw, table, 'a')} THEN {then}"
    )


def _written_in_cte(draw: Draw, table: str) -> str:
    inner = draw.among([_update, _delete])(draw, table).partition(" RETURNING ")[0]
    return f"WITH gone AS ({inner} RETURNING a.*) SELECT count(*) FROM gone"
