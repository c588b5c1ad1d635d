"""The quota: how many requests a plan admits and when the next may leave. Imports model, api.errors and store."""
