"""The values that columns of the vector store tables take."""

from enum import StrEnum


class VectorStoreStatus(StrEnum):
    """Known states of a store; any text of up to 16 characters is accepted."""

    CREATING = "creating"
    INDEXING = "indexing"
    IN_PROGRESS = "in_progress"
    READY = "ready"
    COMPLETED = "completed"
    EXPIRED = "expired"
    DELETED = "deleted"


class VectorStoreFileStatus(StrEnum):
    """Known states of a file; any text of up to 16 characters is accepted."""

    INDEXING = "indexing"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DELETED = "deleted"
