"""Secret files: a secret may be in a variable, or in a file that another variable names, as Docker's secrets are."""

from contextlib import suppress
from pathlib import Path

from pipeline.errors import file_reason
from pipeline.files import WrongEncoding, is_present, read_text
from pipeline.settings.environment import Environment
from pipeline.settings.errors import SettingsError
from pipeline.text import without_middle

_MOST_SHOWN = 100
"""Characters of a path in an error."""


def secret_variable(environment: Environment, plain: str, of_file: str) -> str | None:
    """Return the variable that a secret is taken from, None if none is set.

    A variable that is not empty comes before one that is: the `.env` of `pipeline init` begins with an empty key. Of
    two that are not empty, the environment's comes before that of `.env`.
    """
    names = [name for name in (plain, of_file) if name in environment.variables]
    return min(
        names, key=lambda name: (not environment.variables[name].strip(), name in environment.from_dotenv), default=None
    )


def is_secret_set(environment: Environment, plain: str, of_file: str) -> bool:
    """Whether one of a secret's variables is set and not empty."""
    return any(environment.variables.get(name, "").strip() for name in (plain, of_file))


def read_secret(environment: Environment, plain: str, of_file: str, *, noun: str) -> tuple[str, str] | None:
    """Return the text of a secret, and the variable or file that it is from; None if both are unset or empty.

    Raise SettingsError for a file that cannot be read. `noun`: what the secret is.
    """
    name = secret_variable(environment, plain, of_file)
    if name is None or not environment.variables[name].strip():
        return None
    value = environment.variables[name]
    if name == plain:
        return value, environment.origin(name)
    path = Path(value)
    try:
        return read_text(path), str(path)
    except WrongEncoding as error:
        raise SettingsError(f"{environment.origin(name)}: {path}: {error}", remedy=error.remedy) from None
    except (OSError, ValueError) as error:
        # A relative name of no file is not repeated: it may well be the secret.
        is_named = path.is_absolute() or _is_present(path)
        shown = without_middle(str(path), _MOST_SHOWN) if is_named else "the file that it names"
        raise SettingsError(
            f"{environment.origin(name)}: {shown} cannot be read ({file_reason(error)})",
            remedy=f"name a text file that holds the {noun}; the {noun} itself belongs in {plain}",
        ) from None


def _is_present(path: Path) -> bool:
    with suppress(OSError):
        return is_present(path)
    return False
