"""What one would use instead: each as its own documentation says, as durable as agentdb.

They are not installed with agentdb, so they are imported when they are used, and have no types
here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(module: str) -> Any:
    """Import a module of a peer.

    Raises:
        ModuleNotFoundError: It is not installed; ``pip install '.[bench]'`` installs all.
    """
    return import_module(module)
