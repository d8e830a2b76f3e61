"""Users, memberships, credentials, sessions, tokens, and the logs about them."""
