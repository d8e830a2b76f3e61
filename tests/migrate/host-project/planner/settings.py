"""Where a deployment keeps its tables; on PostgreSQL each may be in a schema of its own."""

import os

AGENTDB_SCHEMA = os.environ.get("AGENTDB_SCHEMA") or None
PLANNER_SCHEMA = os.environ.get("PLANNER_SCHEMA") or None
