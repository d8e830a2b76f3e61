"""Code containers of a tenant, and the agents bound to them."""
