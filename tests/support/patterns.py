"""Patterns: every regular expression of the package, by reading its source."""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pipeline
from tests.support.backtracking import Pattern

PACKAGE = Path(pipeline.__file__).parent
_SEARCHING = {"search", "sub", "subn", "split", "findall", "finditer"}
_ANCHORED = {"match", "fullmatch"}


def package_patterns(computed: Mapping[str, Iterable[Pattern]]) -> Iterator[Pattern]:
    """Yield every pattern in the package. `computed` has those of a module whose text only exists at run time.

    Raise AssertionError for a module with such a pattern that `computed` lacks, and for one too many.
    """
    unused = set(computed)
    methods = _methods()
    for path, source in sorted(_sources().items()):
        if "import re\n" not in source:
            continue
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        tree = _parsed(source)
        named = {
            node.value: target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in filter(_is_of_re, ast.walk(tree)):
            assert isinstance(call, ast.Call)
            function = call.func.attr  # type: ignore[attr-defined]
            name = named.get(call, "")
            found = getattr(importlib.import_module(module), name, None)
            if isinstance(call.args[0], ast.Constant):
                flags = eval(ast.unparse(_flags(call, function)), {"re": re})
                found = re.compile(call.args[0].value, flags)
            if isinstance(found, re.Pattern):
                used = methods.get(name, set()) if function == "compile" else {function}
                yield Pattern(f"{module}:{call.lineno}", found, not used or bool(used & _SEARCHING))
            else:
                assert module in computed, f"{module}:{call.lineno}: a pattern that is computed: name it in the test"
                unused.discard(module)
    for patterns in computed.values():
        yield from patterns
    assert not unused, f"modules without a computed pattern: {unused}"


def _is_of_re(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in {"compile"} | _SEARCHING | _ANCHORED
    )


def _flags(call: ast.Call, function: str) -> ast.expr:
    """Return the flags of a call: the last argument of `re.compile(pattern, flags)` and its like, or a keyword."""
    place = {"compile": 1, "sub": 4, "split": 3}.get(function, 2)
    named = [keyword.value for keyword in call.keywords if keyword.arg == "flags"]
    return (named or [*call.args[place : place + 1], ast.Constant(0)])[0]


@cache
def _sources() -> Mapping[Path, str]:
    """Return the source of every module. Most need not be parsed, which takes seconds for all."""
    return {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


_parsed = cache(ast.parse)


@cache
def _methods() -> dict[str, set[str]]:
    """Return the methods that are called on each name of the package."""
    found: dict[str, set[str]] = {}
    for source in _sources().values():
        if not any(f".{method}" in source for method in _SEARCHING | _ANCHORED):
            continue
        nodes = list(ast.walk(_parsed(source)))
        loops = [node for node in nodes if isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple)]
        looped = {_name(loop.target): list(map(_name, loop.iter.elts)) for loop in loops}  # type: ignore[attr-defined]
        for node in nodes:
            if isinstance(node, ast.Attribute) and node.attr in _SEARCHING | _ANCHORED:
                name = _name(node.value)
                for each in (name, *looped.get(name, ())):
                    found.setdefault(each, set()).add(node.attr)
    return found


def _name(node: ast.AST) -> str:
    return str(getattr(node, "id", "") or getattr(node, "attr", ""))
