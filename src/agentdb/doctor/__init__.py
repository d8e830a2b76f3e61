"""What is wrong with a database and this installation, fit for a bug report."""

from __future__ import annotations

from agentdb.doctor.examine import examine
from agentdb.doctor.report import Finding, Report, Status

__all__ = ["Finding", "Report", "Status", "examine"]
