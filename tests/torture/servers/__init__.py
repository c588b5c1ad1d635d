"""Servers: an API that misbehaves in every way, and what each way has to end with."""
