"""Plans and their features, subscriptions, invoices and metered use."""

from agentdb.billing.repository.features import PlanFeatureRepository
from agentdb.billing.repository.invoices import SubscriptionInvoiceRepository
from agentdb.billing.repository.plans import BillingPlanRepository
from agentdb.billing.repository.subscriptions import TenantSubscriptionRepository
from agentdb.billing.repository.usage import SubscriptionUsageRepository

__all__ = [
    "BillingPlanRepository",
    "PlanFeatureRepository",
    "SubscriptionInvoiceRepository",
    "SubscriptionUsageRepository",
    "TenantSubscriptionRepository",
]
