"""The audit: compares a record with what it must be, and corrects what a wrong clock dated. Imports store and model."""
