"""`pipeline config`: every setting, its value, and where it came from."""

import click

from pipeline.cli.configuration import load_settings, read_environment
from pipeline.cli.options import Options, examples, global_options, json_option, wide_option
from pipeline.cli.output import print_json, print_table, shown
from pipeline.redaction import Redact, without_lookalikes
from pipeline.settings.api_keys import api_key, key_variable
from pipeline.settings.environment import FLEET_URL, FLEET_URL_FILE, NOTIFY_URLS, PING_URL, Environment
from pipeline.settings.errors import SettingsError
from pipeline.settings.fleet import fleet_url
from pipeline.settings.secret_files import secret_variable
from pipeline.settings.secrets import notify_urls, ping_url, redaction


@click.command(epilog=examples("pipeline config", "PIPELINE_SOURCE__PLAN=premium-75 pipeline config"))
@wide_option
@json_option
@global_options
def command(options: Options, *, wide: bool, as_json: bool) -> None:
    """Show every setting, its value and where it came from. The key and other secrets are masked."""
    variables = read_environment()
    settings = load_settings(options, variables)
    redact = redaction(variables)
    rows = [(one.path, _redacted(one.value, redact), one.origin) for one in settings.values]
    rows += [
        ("notify_urls", *_secret(variables, NOTIFY_URLS, [_masked(url) for url in notify_urls(variables)])),
        ("ping_url", *_secret(variables, PING_URL, (url := ping_url(variables)) and _masked(url))),
        ("fleet_url", *_fleet_url(variables)),
        *((f"api_key.{plan.name}" if plan.name else "api_key", *_key(variables, plan.name)) for plan in settings.plans),
    ]
    if as_json:
        print_json([{"key": path, "value": value, "origin": origin} for path, value, origin in rows])
    else:
        cells = [(path, "[]" if value == [] else shown(value), origin) for path, value, origin in rows]
        print_table(["key", "value", "from"], cells, wide=wide)


def _redacted(value: object, redact: Redact) -> object:
    """Return a value without a secret that was put into it by mistake."""
    if isinstance(value, list):
        return [_redacted(one, redact) for one in value]
    if isinstance(value, dict):
        return {str(_redacted(key, redact)): _redacted(one, redact) for key, one in value.items()}
    if not isinstance(value, str):
        return value
    return without_lookalikes(redact(value)) if "://" in value else redact(value)


def _secret(variables: Environment, name: str, value: object) -> tuple[object, str]:
    """Return a secret's masked value (None if not set) and where it came from."""
    return value or None, variables.origin(name) if variables.variables.get(name) else "not set"


def _key(variables: Environment, name: str) -> tuple[str | None, str]:
    variable = key_variable(variables, name)
    origin = variables.origin(variable) if variable else "not set"
    try:
        return _masked(api_key(variables, name)), origin
    except SettingsError:
        return None, origin


def _fleet_url(variables: Environment) -> tuple[str | None, str]:
    variable = secret_variable(variables, FLEET_URL, FLEET_URL_FILE)
    url = fleet_url(variables)
    return (None, "not set") if url is None or variable is None else (_masked(url), variables.origin(variable))


def _masked(key: str) -> str:
    """Return a secret's length only: enough to see that it is set."""
    return f"*** ({len(key)} characters)"
