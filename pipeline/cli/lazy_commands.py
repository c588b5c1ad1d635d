"""Lazy commands: a group that lists its commands without importing any, and imports the one that is called."""

import difflib
import gc
import importlib
from collections.abc import Mapping
from keyword import iskeyword

import click

from pipeline.text import quoted


class LazyCommands(click.Group):
    """A group of commands, each in a module of its own in `pipeline.cli.commands`. Made for a subclass to name them."""

    texts: Mapping[str, str] = {}
    """Each command, and what it does."""
    prefix = ""
    """What their modules' names begin with."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.texts)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.texts:
            return None
        gc.disable()  # it would take an eighth of the time to import, and find little
        try:
            command: click.Command = importlib.import_module(f"pipeline.cli.commands.{self._module(name)}").command
        finally:
            gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.texts.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.texts and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.texts, n=1)
            ctx.fail(f"unknown command {quoted(args[0])}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def _module(self, name: str) -> str:
        """Return the name of a command's module: as_of for as-of, import_ for import."""
        module = self.prefix + name.replace("-", "_")
        return f"{module}_" if iskeyword(module) else module
