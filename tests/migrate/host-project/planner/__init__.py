"""A host: projects of tenants, and the users who work on them."""
