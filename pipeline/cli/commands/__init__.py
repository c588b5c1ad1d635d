"""The commands of `pipeline`: one module for each, imported only when the command is called."""
