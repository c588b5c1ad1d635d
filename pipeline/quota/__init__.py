"""The quota: how many requests a plan allows and when the next may leave. Imports model, api and store."""
