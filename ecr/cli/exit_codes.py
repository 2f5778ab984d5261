"""The exit codes of the operator's commands: one meaning each, in every command.

0 is for a command that did what it was asked for. Reads nothing.
"""

FAILED = 1
"""An operator can mend it: what was wrong, where, and the remedy are on standard error."""

MISUSED = 2
"""The options are wrong, or contradict each other; nothing was read. argparse ends with it too."""

FOUND = 3
"""The command did its work, and found what it looks for: drift, a gap, an image in danger."""

EXPLAINED = (
    "Exit codes: 0, it was done; 1, it could not be done, and standard error says why; 2, the options "
    "are wrong; 3, it was done, and what the command looks for was found."
)
"""The exit codes as --help has them."""
