"""The web: what the daemon serves over HTTP. Imports monitoring and query."""
