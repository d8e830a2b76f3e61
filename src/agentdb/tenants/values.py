"""Reserved names within the settings of a tenant."""

ENTITLEMENT_PREFIX = "feature."
"""Flags that begin so are entitlements, which only the operator sets."""
