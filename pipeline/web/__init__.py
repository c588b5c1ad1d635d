"""The web: the daemon over HTTP. Imports monitoring and query."""
