"""Agents: the record as tools that AI agents call, over the Model Context Protocol. Imports query and below."""
