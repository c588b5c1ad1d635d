"""Schedules: when something is to run. Pure; imports the root modules and model."""
