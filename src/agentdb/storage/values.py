"""The values that columns of the storage tables take."""

from enum import StrEnum


class StorageObjectStatus(StrEnum):
    """Where an object stands; ``pending_upload`` waits for the client."""

    PENDING = "pending"
    PENDING_UPLOAD = "pending_upload"
    READY = "ready"
    DELETED = "deleted"


class StorageProvider(StrEnum):
    """Known object stores; any text of up to 16 characters is accepted."""

    MINIO = "minio"
    GCS = "gcs"
    S3 = "s3"
    AZURE_BLOB = "azure_blob"
    MEMORY = "memory"


class StorageBucketStatus(StrEnum):
    """Known states of a bucket; any text of up to 16 characters is accepted."""

    READY = "ready"
