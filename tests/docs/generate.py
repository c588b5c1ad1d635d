"""Write the generated parts of docs/ from the code: `make docs`. A test compares them."""

import importlib
import re
import sqlite3
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from prometheus_client.parser import text_string_to_metric_families

from pipeline.agents.schemas import schema_of
from pipeline.agents.tools import TOOLS
from pipeline.cli.app import COMMANDS
from pipeline.cli.commands.fleet import SUBCOMMANDS
from pipeline.errors import ExitCode
from pipeline.model.anomalies import RULES
from pipeline.model.fields import CATALOGUE
from pipeline.model.outcomes import MEANING, Outcome
from pipeline.monitoring.metrics import Metrics
from pipeline.quota.limits import PLANS
from pipeline.rest.endpoints import API, Endpoint
from pipeline.rest.parameters import Paged
from pipeline.rest.routes import ENDPOINTS
from pipeline.store.migrate import migrate
from pipeline.store.relations import RELATIONS
from tests.support.clocks import START
from tests.support.monitoring import BEAT, EMPTY, FLEET_VIEW

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"(<!-- generated: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

EXITS = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "failed",
    ExitCode.USAGE: "wrong usage",
    ExitCode.REFUSED: "the configuration is wrong, or the key was refused",
    ExitCode.PARTIAL: "partial: some symbols failed or were rejected",
    ExitCode.QUOTA: "the quota, or `--max-requests`, ended before all due symbols were requested",
    ExitCode.BUSY: "another process is collecting, or another daemon runs on this database",
    ExitCode.STALE: (
        "a symbol is stale or there is no database (`status`), the daemon has a problem (`health`), or something is"
        " stuck (`fleet`)"
    ),
    ExitCode.INTERRUPTED: "interrupted",
}
ENDS = {
    Outcome.STORED: "due again once it is no longer fresh",
    Outcome.UNCHANGED: "due again once it is no longer fresh",
    Outcome.UNKNOWN: (
        "requested again after 1, 2, 4, … 30 days, each less 4 hours; if it has snapshots, only after a week as usual"
    ),
    Outcome.FAILED: "due again in the next run",
    Outcome.REJECTED: "due again in the next run",
    Outcome.DEFERRED: "first in line next time",
}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def commands() -> str:
    return table(("command", "does"), ((f"`{_usage(name)}`", text) for name, text in all_commands().items()))


def exit_codes() -> str:
    return table(("exit code", "means"), EXITS.items())


def options() -> str:
    shared = {(option.name, option.help) for option in _options("config")}
    parts = [table(("every command has", "does"), _rows(_options("config")))]
    for name in all_commands():
        own = [option for option in _options(name) if (option.name, option.help) not in shared]
        if own:
            parts.append(f"### {name}\n\n" + table(("option", "does"), _rows(own)))
    return "\n\n".join(parts)


def configuration() -> str:
    shipped = (ROOT / "config" / "pipeline.toml").read_text(encoding="utf-8")
    return f"```toml\n{shipped.partition(chr(10) * 2)[2].strip()}\n```"


def plans() -> str:
    rows = ((f"`{plan}`", ", ".join(map(str, limits))) for plan, limits in PLANS.items())
    return table(("plan", "limits"), rows)


def outcomes() -> str:
    return table(("outcome", "means", "then"), ((f"`{one}`", MEANING[one], ENDS[one]) for one in Outcome))


def anomalies() -> str:
    return table(("anomaly", "rule"), ((f"`{one}`", rule) for one, rule in RULES.items()))


def columns() -> str:
    rows = ((f"`{f.column}`", f.name, f.kind, f.part, f.unit, f.description) for f in CATALOGUE)
    return table(("column", "the API's name", "type", "moves", "unit", "is"), rows)


def relations() -> str:
    return table(("name", "has"), ((f"`{name}`", has) for name, has in RELATIONS.items()))


def tables() -> str:
    """Return the columns of the views and tables that programs may rely on."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "overviews.db"
        migrate(path, now=START)
        with closing(sqlite3.connect(path)) as db:
            found = {name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")] for name in RELATIONS}
    in_catalogue = {field.column for field in CATALOGUE} - {"symbol"}
    rows = []
    for name, columns_of in found.items():
        own = [column for column in columns_of if column not in in_catalogue or "extra" not in columns_of]
        rows.append((f"`{name}`", _code(own) + (", and those [below](#columns)" if "extra" in columns_of else "")))
    return table(("name", "columns"), rows)


def api() -> str:
    rows = ((f"`{API}{one.path}`", one.summary, _code(_taken(one))) for one in ENDPOINTS)
    return table(("path", "answers", "takes"), rows)


def _taken(endpoint: Endpoint) -> list[str]:
    """Return the parameters of a path that follow `?`, but for those that all tables take."""
    of_all = Paged.__struct_fields__
    fields = endpoint.parameters.__struct_fields__
    return [one for one in fields if one not in of_all and f"{{{one}}}" not in endpoint.path]


def metrics() -> str:
    page = Metrics().render(replace(EMPTY, fleet=FLEET_VIEW), BEAT)[1].decode()
    ours = [one for one in text_string_to_metric_families(page) if re.match(r"pipeline_.*(?<!_created)$", one.name)]
    rows = {f"{one.name}_total" if one.type == "counter" else one.name: one.documentation for one in ours}
    return table(("metric", "is"), ((f"`{name}`", text) for name, text in sorted(rows.items())))


def rooms() -> str:
    return table(
        ("room", "for"), ((f"[`{name}/`](#{name})", summary(folder / "__init__.py")) for name, folder in _rooms())
    )


def modules() -> str:
    parts = [f"### The root\n\n{_modules(ROOT / 'pipeline')}"]
    parts += [f"### {name}\n\n{_modules(folder)}" for name, folder in _rooms()]
    return "\n\n".join(parts)


def tools() -> str:
    """Return the tools of `pipeline mcp`, with their arguments."""
    rows = []
    for tool in TOOLS.values():
        required = set(schema_of(tool.arguments)["required"])
        names = sorted(tool.arguments.__struct_fields__, key=lambda name: name not in required)
        arguments = ", ".join(f"**`{name}`**" if name in required else f"`{name}`" for name in names)
        rows.append((f"`{tool.name}`", tool.description.partition(". ")[0].partition(": ")[0], arguments))
    return table(("tool", "does", "takes (**required**)"), rows)


def _rooms() -> Iterator[tuple[str, Path]]:
    """Yield the name and folder of each room, from the bottom to the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    for layer in reversed(contracts[0]["layers"]):
        for module in layer.split(" | "):
            folder = ROOT / module.replace(".", "/")
            if folder.is_dir():
                yield folder.name, folder


def _modules(folder: Path) -> str:
    paths = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    return table(("module", "for"), ((f"`{path.stem}`", summary(path)) for path in paths))


def summary(path: Path) -> str:
    """Return the first paragraph of a module's docstring, in one line."""
    doc = path.read_text(encoding="utf-8").partition('"""')[2].partition('"""')[0]  # to parse all takes half a second
    return " ".join(doc.partition("\n\n")[0].split())


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "tools": tools,
    "exit codes": exit_codes,
    "options": options,
    "configuration": configuration,
    "plans": plans,
    "outcomes": outcomes,
    "anomalies": anomalies,
    "columns": columns,
    "metrics": metrics,
    "relations": relations,
    "tables": tables,
    "api": api,
    "rooms": rooms,
    "modules": modules,
}


def generated(text: str) -> str:
    """Return a page with its generated parts written from the code."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", text)


def pages() -> Iterator[Path]:
    """Yield every page of the documentation."""
    yield ROOT / "README.md"
    yield from sorted(DOCS.glob("*.md"))


def all_commands() -> dict[str, str]:
    """Return what each command does, and each below another: `fleet init`."""
    below = {f"fleet {name}": text for name, text in SUBCOMMANDS.items()}
    return {one: text for name, does in COMMANDS.items() for one, text in [(name, does), *_below(name, below)]}


def _below(name: str, commands: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((one, text) for one, text in commands.items() if one.startswith(f"{name} "))


def command_of(name: str) -> click.Command:
    """Return a command of the program."""
    module = f"pipeline.cli.commands.{re.sub('[- ]', '_', name)}{'_' if name == 'import' else ''}"
    command: click.Command = importlib.import_module(module).command
    return command


def _usage(name: str) -> str:
    command = command_of(name)
    words = [
        param.make_metavar(click.Context(command)) for param in command.params if isinstance(param, click.Argument)
    ]
    return " ".join([name, *words])


def _options(name: str) -> list[click.Option]:
    return [param for param in command_of(name).params if isinstance(param, click.Option) and param.help]


def _rows(options: Iterable[click.Option]) -> Iterator[tuple[str, str]]:
    for option in options:
        takes = (
            option.make_metavar(click.Context(click.Command("")))
            .replace("INTEGER RANGE", "N")
            .replace("FLOAT RANGE", "SECONDS")
        )
        metavar = "" if option.is_flag or option.count else f" {takes}"
        yield f"`{', '.join(option.opts)}{metavar}`", option.help or ""


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main() -> None:
    """Write every page again whose generated parts differ."""
    for path in pages():
        text = path.read_text(encoding="utf-8")
        if (new := generated(text)) != text:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: written")


if __name__ == "__main__":
    main()
