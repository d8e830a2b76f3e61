"""The host's own revisions."""
