"""Invented companies: how those of the sandbox are told from real ones, wherever their documents went."""

INVENTED = "is an invented company: the sandbox made it up"
"""Every description that the sandbox writes says so."""


def is_invented(description: object) -> bool:
    """Return whether a company's description says that the sandbox invented it."""
    return isinstance(description, str) and INVENTED in description
