"""Maintenance of containers."""

from __future__ import annotations

from typing import ClassVar

from agentdb.containers.models import Container
from agentdb.maintenance.walked import Deleted
from agentdb.orm import Base


class DeletedContainers(Deleted):
    """Containers, in the order of their ids."""

    outcomes: ClassVar[tuple[str, ...]] = (Container.__tablename__,)
    model: ClassVar[type[Base]] = Container
