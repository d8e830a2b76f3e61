"""The activity feed of a tenant, and how far each member has read it."""
