"""Conversations with agents: messages, summaries, run events, usage."""
