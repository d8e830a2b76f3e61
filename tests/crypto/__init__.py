"""Encryption of columns, digests, and the rotation of keys."""
