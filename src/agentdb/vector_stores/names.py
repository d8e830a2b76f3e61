"""Names of deleted stores: the key of names spans them, so they have to give theirs up."""

from __future__ import annotations

from typing import Any

from agentdb.types import JsonObject
from agentdb.vector_stores.models import VectorStore

DELETED_NAME = "agentdb.deleted_name"
"""Where the metadata of a deleted store keep its name."""

KEPT_CHARACTERS = 95
"""What is left of a name of up to 128 beside ``~`` and the 32 digits of the id."""


def freed(store: VectorStore) -> dict[str, Any]:
    """Return what a store becomes that gives its name up; nothing where it has done so before."""
    if DELETED_NAME in store.metadata_json:
        return {}
    metadata: JsonObject = {**store.metadata_json, DELETED_NAME: store.name}
    return {
        "name": f"{store.name[:KEPT_CHARACTERS]}~{store.id.hex}",
        "metadata_json": metadata,
    }


def named(store: VectorStore) -> dict[str, Any]:
    """Return what a deleted store becomes that takes its name back."""
    metadata = dict(store.metadata_json)
    name = metadata.pop(DELETED_NAME, store.name)
    return {"name": name, "metadata_json": metadata}
