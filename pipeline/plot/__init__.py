"""Plots: a series of values as a picture. Imports model and query."""
