"""Every shape of statement in which a table can stand, about conversations and people."""

from tests.tenancy.shapes.classes import CLASSES
from tests.tenancy.shapes.common import Shape
from tests.tenancy.shapes.joins import JOINS
from tests.tenancy.shapes.subqueries import SUBQUERIES
from tests.tenancy.shapes.tables import TABLES
from tests.tenancy.shapes.texts import TEXTS
from tests.tenancy.shapes.writes import WRITES

__all__ = ["READS", "WRITES", "Shape"]

READS: dict[str, Shape] = {**CLASSES, **SUBQUERIES, **JOINS, **TEXTS, **TABLES}
