"""Every module that decodes text is known here: what decodes more has to be fuzzed, or to say why it need not be."""

import ast
import re
from functools import cache
from pathlib import Path

import pipeline

PACKAGE = Path(pipeline.__file__).parent
DECODERS = {
    "loads", "decode", "Decoder", "convert", "decoder", "decode_object", "converted", "fromisoformat", "strptime",
    "fromtimestamp", "parsedate_to_datetime", "parse_stream", "DictReader", "reader", "urlsplit", "URL", "ip_address",
    "int", "float", "Decimal", "ZoneInfo", "unquote", "fromhex", "b64decode", "decompressobj", "safe_load",
    "literal_eval",
}  # fmt: skip
"""Functions that make a value of a text, and raise what they like if they cannot."""
FUZZED = {
    "agents.arguments", "agents.paging", "api.responses", "api.server_time", "cli.options", "daemon.systemd",
    "decoding", "doctor.mounts", "fleet.agreement", "fleet.entries", "fleet.follow", "instants", "json_text",
    "model.changes", "model.document", "model.symbol_lists",
    "model.values", "monitoring.heartbeat", "monitoring.ping", "monitoring.reporter", "pages.asked", "pages.companies",
    "pages.numbers", "pages.runs", "pages.travel", "pages.websites", "query.changes",
    "query.documents", "quota.limits", "redaction", "rest.asked", "rest.companies", "rest.formats",
    "rest.parameters", "rest.positions", "rest.runs", "schedule.cron", "schedule.zones", "settings.addresses",
    "settings.config_file", "settings.environment", "settings.fleet", "settings.layers", "settings.proxies",
    "store.drift",
    "store.lock", "store.marker", "store.snapshots", "transfer.git_history", "transfer.joined_parquet",
    "transfer.joining", "transfer.json_collections", "transfer.json_files", "transfer.json_lines",
    "transfer.look_ahead", "transfer.streams", "web.access", "web.app",
    "web.caching", "web.hosts",
}  # fmt: skip
"""Modules whose decoders the tests of this folder give bad bytes."""
EXEMPT = {
    "api.probe": "the URL of the API, which was checked",
    "api.client": "encodes a URL of a symbol and a key that were checked",
    "cli.app": "an exit code",
    "doctor.network": "a URL that was checked",
    "cli.commands.export": "a count",
    "cli.commands.join": "a count",
    "cli.commands.panel": "a count",
    "cli.terminal": "what a command prints; what is not UTF-8 is shown as escapes, and test_terminal.py gives it any",
    "cli.commands.schedule": "a span, and a zone that was checked",
    "fleet.detaching": "a boolean",
    "fleet.install": "a number, and the name of a file that comes with the program",
    "fleet.invented": "a document of the log: one that is no JSON is no invented one",
    "fleet.results": "a number",
    "plot.indexed": "a number",
    "plot.labels": "a number",
    "plot.line_chart": "a number",
    "query.columnar": "a number",
    "query.joined": "a count",
    "query.listing": "a boolean",
    "query.open_database": "the number that SQLite has for the state of a file",
    "query.known": "instants that to_text made, and JSON that SQLite made in the same query",
    "query.pages": "pages that SQLite made in memory of a temporary table; test_packed.py gives it any values",
    "quota.full_pass": "a number",
    "rest.query": "a number",
    "sandbox.daily_fields": "a number",
    "sandbox.prices": "a number",
    "sandbox.statements": "a number",
    "audit.derived_rows": "a boolean of the catalogue",
    "extras": "a number of an environment variable; test_extras.py gives it others",
    "store.older_copy": "a number",
    "audit.observed_rows": "the torture suite's damaged files give it any bytes",
    "audit.part_digests": "the torture suite's damaged files give it any bytes",
    "store.reader": "a count",
    "store.database": "a number; test_our_columns.py gives it any",
    "store.catalogue_views": "a boolean of the catalogue",
    "store.migration_files": "the name of a file that comes with the program",
    "store.migration_steps": "a number, and a position that a step wrote",
    "store.promotion": "a number, and a position that a step wrote",
    "store.requests": "a boolean",
    "store.stored_symbols": "an instant that to_text made",
    "uptime": "Linux's own files; anything but a number means that the uptime is unknown",
    "transfer.git_log": "what git prints; test_git_log.py gives it any names, in any pieces",
    "transfer.repository": "what git prints",
    "transfer.export": "a count, and JSON that SQLite made in the same query",
}
"""Modules that decode nothing from outside, and why."""
_CALL = re.compile(rf"\b(?:_*decode\w*|{'|'.join(DECODERS)})\s*\(")
"""What a module without a call of a decoder lacks: it takes a second to parse all of them."""


@cache
def decoding_modules() -> set[str]:
    """Return the modules that call one of the decoders, on anything but a constant."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in PACKAGE.rglob("*.py")
        if _CALL.search(source := path.read_text(encoding="utf-8")) and any(map(_decodes, ast.walk(ast.parse(source))))
    }


def _decodes(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    if all(isinstance(argument, ast.Constant) for argument in arguments):
        return False
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    return name in DECODERS or name.lstrip("_").startswith("decode")


def test_every_module_that_decodes_is_fuzzed_or_says_why_not() -> None:
    assert decoding_modules() - FUZZED - EXEMPT.keys() == set()


def test_no_module_is_named_that_decodes_nothing() -> None:
    assert (FUZZED | EXEMPT.keys()) - decoding_modules() == set()
