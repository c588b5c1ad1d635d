"""Queries: questions to the record, read-only. Imports model and store."""
