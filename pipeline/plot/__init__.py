"""Plots: fields through time, or of all companies at one instant, on the terminal or in a file. Imports model."""
