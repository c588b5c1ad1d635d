"""Commands: one module for each, loaded when the command is called."""
