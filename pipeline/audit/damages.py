"""Damages: rows of a file that cannot be what was written, gathered by what is wrong with them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

KEYS = 3
"""How many keys of each kind are kept."""


@dataclass(slots=True)
class Damage:
    """One kind of damage in a table: the number of rows, and the keys of the first."""

    table: str
    problem: str
    """Follows the number of rows in a message."""
    rows: int = 0
    keys: list[str] = field(default_factory=list)


class Damages:
    """What is damaged, by table and what is wrong with it."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Damage] = {}

    def add(self, table: str, problem: str, key: str) -> None:
        """Add a row, by a key that people can read."""
        damage = self._found.setdefault((table, problem), Damage(table, problem))
        damage.rows += 1
        if damage.rows <= KEYS:
            damage.keys.append(key)

    def __iter__(self) -> Iterator[Damage]:
        """Yield each kind of damage, in the order in which they were found."""
        return iter(self._found.values())
