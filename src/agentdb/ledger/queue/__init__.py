"""The queue of runs: first in, first out within a conversation, one at a time.

A run waits as ``queued`` until it is the oldest unfinished one of its conversation, the head: then
it is ``ready``, and a worker may claim it. While a conversation has unfinished runs, exactly one of
them is ready or running. The verb that ends the head makes the next one ready, in the same unit.

There is no column for a lease: it lasts a time that all workers share, from ``started_at``, which
heartbeats renew. There is none for a fence either: ``attempt_count`` tells one claim from the next.
"""
