"""Webhook deliveries of Stripe, and their dispatch to handlers."""
