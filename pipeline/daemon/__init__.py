"""The daemon: collects on schedule for years. Imports all rooms but web and cli."""
