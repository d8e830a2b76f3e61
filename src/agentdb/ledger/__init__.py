"""The replayable stream of a conversation, and the queue of its runs."""
