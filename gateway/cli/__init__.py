"""The command line: one file a command. Each has `add(commands)` and runs as `run(arguments)`."""
