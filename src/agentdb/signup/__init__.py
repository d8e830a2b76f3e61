"""Sign-up behind approval: requests, invites, and reservations of invites."""
