"""Collecting: one run, from the symbols that are due to an outcome for each. Imports quota, api, store and model."""
