"""Long names from outside: an error repeats the start of one, and stays short enough for a terminal and a log line."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from pipeline.errors import LONGEST_PROBLEM, LONGEST_REMEDY, Trouble
from pipeline.settings.api_keys import api_key
from pipeline.settings.environment import Environment, variable_of, with_dotenv
from pipeline.settings.errors import SettingsError
from pipeline.settings.load import load
from pipeline.settings.near_misses import misspelt_variables
from pipeline.settings.schema import KEYS, REPEATED, SETTABLE, TABLES
from pipeline.settings.symbol_files import read_symbol_file
from tests.support.text_readers import TEXT_READERS

LONG = "Fa" * 500
SHORT = 300
"""Characters of a message without the path of the file."""


def _configurations() -> Iterator[str]:
    """Yield configurations in which one name, key or value is long."""
    yield f"{LONG} = 1"
    yield f'"a.{LONG}" = 1'
    yield f"[{LONG}]"
    yield f"{LONG}\n= ["
    yield f"{LONG} = 1\n{LONG} = 2"
    yield f"[{LONG}]\n[{LONG}]"
    yield f"[symbols]\nrenamed = {{{LONG} = 1, {LONG} = 2}}"
    for key in KEYS:
        table, _, name = key.rpartition(".")
        place = f"[[{table}]]" if table in REPEATED else f"[{table}]" if table else ""
        for value in (f'"{LONG}"', f'["{LONG}"]', f'{{{LONG} = "{LONG}"}}'):
            yield f"{place}\n{name} = {value}"
    for table in TABLES:
        yield f'{table} = "{LONG}"'
        for key in (LONG, f"key{LONG}", f"token{LONG}", f"url{LONG}", f'"{LONG}.{LONG}"'):
            yield f"[[{table}]]\n{key} = 1" if table in REPEATED else f"[{table}]\n{key} = 1"
    for value in (f'"{LONG}"', "1", f'{{to = "{LONG}"}}', f'{{to = "A", {LONG} = 1}}', f'{{to = "A", on = "{LONG}"}}'):
        yield f"[symbols]\nrenamed = {{{LONG} = {value}}}"
        yield f"[symbols]\nrenamed = {{FB = {value}}}"
    cycle = ", ".join(f'S{number} = "S{(number + 1) % 500}"' for number in range(500))
    yield f"[symbols]\nrenamed = {{{cycle}}}"


def _problem(read: Callable[[], object], *refusals: type[Exception]) -> str:
    """Return the message with which something is refused; nothing if it is taken."""
    expected: tuple[type[Exception], ...] = (SettingsError, *refusals)
    try:
        read()
    except expected as error:
        return str(error)
    return ""


def test_no_error_repeats_a_long_name_of_a_configuration(tmp_path: Path) -> None:
    path, found = tmp_path / "pipeline.toml", []
    for text in _configurations():
        path.write_text(text)
        found.append(_problem(partial(load, path, Environment({}))).replace(str(path), ""))
    assert [message for message in found if len(message) > SHORT] == []
    assert sum(map(bool, found)) > len(found) * 0.9


def test_no_error_repeats_a_long_variable(tmp_path: Path) -> None:
    values = (LONG, json.dumps([LONG]), json.dumps({LONG: LONG}), "1" * 4_000)
    environments = [Environment({variable_of(key): value}) for key in SETTABLE for value in values]
    assert [said for one in environments if len(said := _problem(partial(load, None, one))) > SHORT] == []


@pytest.mark.parametrize("name", [f"ALPHAVANTAGE_API_KEY_{LONG}", f"PIPELINE_{LONG}", f"PIPELINE_SYMBOLS__{LONG}"])
def test_no_warning_repeats_the_long_name_of_a_variable(tmp_path: Path, name: str) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"{name}=x\n{LONG}\n")
    environment = with_dotenv({f"{name}_1": "x"}, dotenv)
    said = [*map(str, environment.problems), *misspelt_variables(environment.variables)]
    said.append(_problem(partial(api_key, environment)))
    assert [one for one in said if len(one.replace(str(dotenv), "")) > SHORT] == []
    assert len(said) > 1


def test_no_error_repeats_a_long_name_of_a_file_of_symbols(tmp_path: Path) -> None:
    path = tmp_path / "symbols.txt"
    for text in (LONG, f"A {LONG}", f"symbol,{LONG}\nA,{LONG}\n", f"{LONG},{LONG}x\nA,{LONG}\n", f"A\n{LONG}\n" * 9):
        path.write_text(text)
        assert len(_problem(partial(read_symbol_file, path)).replace(str(path), "")) <= SHORT


@pytest.mark.parametrize("name", TEXT_READERS)
def test_no_refusal_repeats_a_long_text(name: str) -> None:
    reader = TEXT_READERS[name]
    texts = (LONG, f"{reader.sample} {LONG}", f"{reader.sample}{LONG}", f"/{LONG}", "\0" * 5_000, "\U000e0001" * 5_000)
    assert [said for text in texts if len(said := _problem(partial(reader.read, text), *reader.refusals)) > SHORT] == []


def test_an_error_is_short_whatever_it_was_made_of() -> None:
    error = Trouble(f"{LONG}: no such file", remedy=f"name another than {LONG} here")
    assert len(str(error)) <= LONGEST_PROBLEM + LONGEST_REMEDY + 2
    assert error.problem.startswith("Fa")
    assert error.problem.endswith(": no such file")
    assert str(error).endswith(" here")
    assert str(Trouble("short", remedy="so")) == "short: so"
