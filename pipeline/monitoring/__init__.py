"""Monitoring: how the daemon and its record are, and who is notified. Imports collect, query and what is below."""
