"""Working on queued runs: claiming one, keeping its lease alive, ending it; and many at once."""

from agentdb.worker.claims import RunClaim
from agentdb.worker.pool import Handler, Worker
from agentdb.worker.terms import Terms

__all__ = ["Handler", "RunClaim", "Terms", "Worker"]
