"""What spans several tables: plain functions that take a unit of work first and can share one."""

from agentdb.operations.sign_up import SignedUp, sign_up

__all__ = ["SignedUp", "sign_up"]
