"""The values that columns of the container tables take."""

from enum import StrEnum


class ContainerMemoryLimit(StrEnum):
    """The memory that the provider sells with a container."""

    GB_1 = "1g"
    GB_4 = "4g"
    GB_16 = "16g"
    GB_64 = "64g"


class ContainerStatus(StrEnum):
    """Known states of a container; any text of up to 32 characters is accepted."""

    RUNNING = "running"
    ACTIVE = "active"
    EXPIRED = "expired"
    DELETED = "deleted"
