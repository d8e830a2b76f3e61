"""Vector stores of a tenant, their files, and the agents bound to them."""
