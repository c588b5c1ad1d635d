"""Settings: the configuration, checked whole before anything starts. Imports model, quota.limits and schedule."""
