"""The generic repository: what every table can do."""

from agentdb.repository.bindings import BindingRepository
from agentdb.repository.order import OrderBy
from agentdb.repository.reads import Reads
from agentdb.repository.writes import AppendOnlyRepository, Repository, VerbWrittenRepository

__all__ = [
    "AppendOnlyRepository",
    "BindingRepository",
    "OrderBy",
    "Reads",
    "Repository",
    "VerbWrittenRepository",
]
