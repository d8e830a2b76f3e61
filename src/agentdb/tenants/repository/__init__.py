"""Tenants and their settings."""

from agentdb.tenants.repository.accounts import TenantAccountRepository
from agentdb.tenants.repository.settings import TenantSettingsRepository

__all__ = [
    "TenantAccountRepository",
    "TenantSettingsRepository",
]
