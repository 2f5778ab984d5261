"""The command line of operators: finding a command, its options and its output."""
