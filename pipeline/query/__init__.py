"""Queries: read-only questions to the database, and the public Python API. Imports model and store."""
