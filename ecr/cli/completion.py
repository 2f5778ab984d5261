"""Completion for shells: a script for bash, zsh or fish, made of the commands and their options.

Owns the three scripts. Reads the parser, and runs nothing when a key is pressed: the script has all
that it needs.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

SHELLS = ("bash", "zsh", "fish")

PROGRAM = "ecr-estate"
"""The command that is completed; `python -m ecr` is one of python, which has its own completion."""


class _Option(NamedTuple):
    name: str
    about: str
    takes_value: bool


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script of a shell, which is one of SHELLS, for a parser of all commands."""
    commands = dict(_commands(parser))
    made = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)
    return f"# Completion of {PROGRAM} for {shell}, as `{PROGRAM} --completion {shell}` prints it.\n{made}"


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, tuple[str, list[_Option]]]]:
    """Yield each command's name with what it does and its options."""
    parsers = next(each.choices for each in parser._actions if isinstance(each.choices, dict))  # noqa: SLF001 - argparse has no other way
    for name, within in parsers.items():
        options = [
            _Option(max(each.option_strings, key=len), _plain(each.help or ""), each.nargs is None)
            for each in within._actions  # noqa: SLF001 - as above
            if each.option_strings
        ]
        yield name, (_plain(within.description or ""), options)


def _plain(text: str) -> str:
    """Return text that no shell reads anything into, up to the end of its first sentence."""
    kept = "".join(each for each in text if each not in "'\"`[]$\\!:")
    return " ".join(kept.partition(". ")[0].rstrip(".").split())


def _bash(commands: dict[str, tuple[str, list[_Option]]]) -> str:
    cases = "".join(
        f'    {name}) words="{" ".join(each.name for each in options)}" ;;\n'
        for name, (_, options) in commands.items()
    )
    return f"""\
_ecr_estate() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words=
  if [[ $COMP_CWORD -eq 1 ]]; then
    words="{" ".join(commands)}"
  else
    case ${{COMP_WORDS[1]}} in
{cases}    esac
    [[ $word == -* ]] || return 0
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _ecr_estate {PROGRAM}
"""


def _zsh(commands: dict[str, tuple[str, list[_Option]]]) -> str:
    named = "".join(f"    '{name}:{about}'\n" for name, (about, _) in commands.items())
    cases = "".join(
        f"    {name}) _arguments "
        + " ".join(
            f"'*{each.name}[{each.about}]{':value:_files' if each.takes_value else ''}'"
            for each in options
        )
        + " '*:file:_files' ;;\n"
        for name, (_, options) in commands.items()
    )
    return f"""\
_ecr_estate() {{
  local -a commands
  commands=(
{named}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case ${{words[2]}} in
{cases}  esac
}}
compdef _ecr_estate {PROGRAM}
"""


def _fish(commands: dict[str, tuple[str, list[_Option]]]) -> str:
    lines = []
    for name, (about, options) in commands.items():
        lines.append(f"complete -c {PROGRAM} -n __fish_use_subcommand -f -a {name} -d '{about}'")
        lines += [
            f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {name}' "
            f"-l {each.name.removeprefix('--')}{' -r' if each.takes_value else ''} -d '{each.about}'"
            for each in options
        ]
    return "\n".join(lines) + "\n"
