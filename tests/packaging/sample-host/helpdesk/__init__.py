"""A help desk: a small host of agentdb with models of its own."""
