"""The templates of one session of tests."""

from __future__ import annotations

from functools import cached_property

from agentdb.testing.kept import KeptPostgresTemplate, KeptSqliteTemplate
from agentdb.testing.servers import Server, server_for
from agentdb.testing.templates import PostgresTemplate, SqliteTemplate, Template


class Templates:
    """The templates of a session by backend, each made when it is first asked for."""

    def __init__(
        self, backends: tuple[str, ...], server: str | None = None, *, reuse: bool = False
    ) -> None:
        """Take note; nothing is started.

        Args:
            backends: Those that the session tests.
            server: URL of a PostgreSQL server; None for the usual one.
            reuse: Whether to keep the server and the templates for the next session, and use those
                of the last one; other migrations have other templates.
        """
        self.backends = backends
        self._url = server
        self._reuse = reuse
        self._made: dict[str, Template] = {}

    def __getitem__(self, backend: str) -> Template:
        """Return the template of ``"sqlite"`` or ``"postgres"``."""
        if backend not in self._made:
            self._made[backend] = self._make(backend)
        return self._made[backend]

    @cached_property
    def server(self) -> Server:
        """The PostgreSQL server, started when it is first asked for."""
        return server_for(self._url, keep=self._reuse)

    def close(self) -> None:
        """Delete them all, and stop the server."""
        for template in self._made.values():
            template.close()
        if "server" in self.__dict__:
            self.server.stop()

    def _make(self, backend: str) -> Template:
        if backend == "sqlite":
            return KeptSqliteTemplate() if self._reuse else SqliteTemplate()
        kind = KeptPostgresTemplate if self._reuse else PostgresTemplate
        return kind(self.server)
