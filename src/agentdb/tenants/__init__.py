"""Tenants: the customers, and their settings."""
