"""The resource `overviews://fields`: every field of an overview, as CSV."""

from pipeline.agents.csv_text import csv_lines
from pipeline.model.fields import CATALOGUE

URI = "overviews://fields"
NAME = "fields"
DESCRIPTION = "Every field of an overview: column, the API's name, type, how it moves, unit, and what it is. CSV."


def read_fields() -> str:
    """Return the field catalogue."""
    rows = ((one.column, one.name, one.kind, one.part, one.unit, one.description) for one in CATALOGUE)
    return "\n".join(csv_lines(["column", "api_name", "type", "part", "unit", "description"], rows))
