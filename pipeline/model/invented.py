"""Invented companies: the words in a description that identify a company of the sandbox."""

INVENTED = "is an invented company: the sandbox made it up"
"""Every description that the sandbox writes says so."""


def is_invented(description: object) -> bool:
    """Return whether a company's description says that the sandbox invented it."""
    return isinstance(description, str) and INVENTED in description
