"""Taking over a database whose tables were made by other means.

`survey` tells how it differs from the models and which rows stand in the way, `script` writes the
SQL that closes what can be closed without harm, and `adopt` does both and records the revision.
"""

from __future__ import annotations

from agentdb.adoption.adopt import adopt
from agentdb.adoption.facts import BareKeys, Offenders, Rows, Survey
from agentdb.adoption.script import script
from agentdb.adoption.survey import survey

__all__ = ["BareKeys", "Offenders", "Rows", "Survey", "adopt", "script", "survey"]
