"""Subscriptions to status notices."""
