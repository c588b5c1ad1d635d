"""Plots: numeric fields through time, on the terminal or as an SVG, PNG or HTML file. Imports model and query."""
