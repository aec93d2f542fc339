"""Clever's Data API as a source of records."""
