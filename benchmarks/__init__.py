"""Workloads measured beside the raw driver and beside what one would use instead of agentdb."""
