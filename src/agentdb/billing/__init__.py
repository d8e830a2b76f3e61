"""Plans, subscriptions, invoices, metered usage."""
