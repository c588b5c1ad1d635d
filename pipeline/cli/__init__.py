"""The command line: read arguments, open resources, call one function, return an exit code. May import every room."""
