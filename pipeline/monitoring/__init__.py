"""Monitoring: what is wrong, who is notified, and the metrics. Imports collect, query, settings and the rooms below."""
