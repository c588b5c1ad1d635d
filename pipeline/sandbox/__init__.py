"""Sandbox: a stand-in for the API, with invented companies. Imports model and quota.limits."""
