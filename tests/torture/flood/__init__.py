"""Floods: clients that misbehave in every way, and the processes that have to bear them."""
