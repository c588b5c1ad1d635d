"""The web: the HTTP server, its probes, and how each request is bounded. Imports monitoring and query."""
