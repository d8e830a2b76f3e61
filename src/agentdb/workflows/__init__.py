"""Workflow runs and their steps."""
