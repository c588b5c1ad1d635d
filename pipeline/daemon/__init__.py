"""The daemon: runs the schedules for years. Imports all rooms but web, doctor and cli."""
