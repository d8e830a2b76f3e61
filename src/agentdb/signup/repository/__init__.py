"""Requests to sign up, invites and their reservations."""

from agentdb.signup.repository.invites import TenantSignupInviteRepository
from agentdb.signup.repository.requests import TenantSignupRequestRepository
from agentdb.signup.repository.reservations import TenantSignupInviteReservationRepository

__all__ = [
    "TenantSignupInviteRepository",
    "TenantSignupInviteReservationRepository",
    "TenantSignupRequestRepository",
]
