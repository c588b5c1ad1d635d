"""Plots: fields through time, or of all companies at one instant, as text or pictures. Imports query and model."""
