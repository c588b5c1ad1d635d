"""`pipeline config`: every setting, and where it came from."""

import click

from pipeline.cli.configured import configured, read_environment
from pipeline.cli.options import Options, global_options, json_option
from pipeline.cli.output import print_json, print_table
from pipeline.settings import Environment, SettingsError, api_key, key_variable


@click.command(epilog="Example: PIPELINE_SOURCE__PLAN=premium-75 pipeline config")
@json_option
@global_options
def command(options: Options, *, as_json: bool) -> None:
    """Show every setting, its value and where it came from. The key is masked."""
    variables = read_environment()
    settings = configured(options, variables)
    rows = [(setting.path, setting.value, setting.origin) for setting in settings.values]
    rows.append(("api_key", *_key(variables)))
    if as_json:
        print_json([{"key": path, "value": value, "origin": origin} for path, value, origin in rows])
    else:
        print_table(["key", "value", "from"], rows)


def _key(variables: Environment) -> tuple[str | None, str]:
    name = key_variable(variables)
    origin = variables.origin(name) if name else "not set"
    try:
        return masked(api_key(variables)), origin
    except SettingsError:
        return None, origin


def masked(key: str) -> str:
    """Return the key's length and no more of it: enough to see that there is one."""
    return f"*** ({len(key)} characters)"
