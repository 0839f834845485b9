"""Print what makes a shell complete the commands, options and choices of `petrel`, and the names of datasets.

    petrel completion bash > ~/.local/share/bash-completion/completions/petrel
    petrel completion zsh > ~/.petrel.zsh     # and in ~/.zshrc, after compinit: source ~/.petrel.zsh
    petrel completion fish > ~/.config/fish/completions/petrel.fish

Print it again after an update of Petrel.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.cli import COMMANDS, module_of
from jobs.common import main_of, parser_of
from jobs.output import say
from lakehouse.config import Config

SHELLS = ("bash", "zsh", "fish")

BASH = """\
_petrel() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} lake=.petrel words= i option=compopt
    type compopt &>/dev/null || option=:
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "{commands} --help --version" -- "$cur"))
        return
    fi
    for ((i = 2; i < COMP_CWORD; i++)); do
        [[ ${{COMP_WORDS[i]}} == --lake ]] && lake=${{COMP_WORDS[i+1]}}
    done
    case "${{COMP_WORDS[1]}} $prev" in
{values}
    esac
    [[ $cur == -* ]] && case "${{COMP_WORDS[1]}}" in
{options}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _petrel petrel
"""
"""Where nothing of ours fits, `-o default` completes names of files."""

BASH_VALUES = {
    # Left to the shell, which knows how to quote what it finds.
    "folder": "$option -o dirnames; return",
    "file": "return",
    "dataset": """COMPREPLY=($(compgen -W "$(cd "${lake/#~/$HOME}/datasets" 2>/dev/null && ls)" -- "$cur")); return""",
    # Nothing is known of its values: not even names of files.
    "text": "$option +o default; return",
}

ZSH = "autoload -U +X bashcompinit && bashcompinit\n"
"""zsh reads the script for bash."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a command.

    Attributes:
        command: Name of the command.
        name: With its dashes.
        choices: Values it takes, if they are few.
        value: `folder`, `file`, `dataset`, `text`, or "" where it takes none.
        about: Its help, one line.
    """

    command: str
    name: str
    choices: tuple[str, ...]
    value: str
    about: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What this command takes."""
    parser.add_argument("shell", choices=SHELLS, help="for which shell")


def execute(config: Config, args: argparse.Namespace) -> int:
    """Run the command."""
    found = [option for command in COMMANDS for option in _options(command)]
    say((_fish(found) if args.shell == "fish" else (ZSH if args.shell == "zsh" else "") + _bash(found)).rstrip())
    return 0


def _options(command: str) -> Iterator[Option]:
    parser = parser_of(module_of(command), engine="embedded", program=f"petrel {command}")
    for action in parser._actions:
        for name in action.option_strings or ([""] if action.choices else []):
            if not name.startswith("-h"):
                yield Option(command, name, tuple(map(str, action.choices or ())), _value(action), action.help or "")


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    kinds = {"FILE": "file", "PATH": "file", "FOLDER": "folder", "FOLDER|URL": "folder"}
    named = "dataset" if action.dest == "dataset" else "folder" if action.dest == "folder" else "text"
    return kinds.get(str(action.metavar), named)


def _bash(found: Sequence[Option]) -> str:
    values, options = [], []
    for command in COMMANDS:
        own = [option for option in found if option.command == command]
        for option in own:
            # A word without an option comes right after the command.
            place = shlex.quote(f"{command} {option.name or command}")
            if option.choices:
                words = shlex.quote(" ".join(option.choices))
                values.append(f'        {place}) COMPREPLY=($(compgen -W {words} -- "$cur")); return ;;')
            elif option.value:
                values.append(f"        {place}) {BASH_VALUES[option.value]} ;;")
        names = shlex.quote(" ".join(option.name for option in own if option.name.startswith("--")))
        options.append(f"        {command}) words={names} ;;")
    return BASH.format(commands=" ".join(COMMANDS), values="\n".join(values), options="\n".join(options))


def _fish(found: Sequence[Option]) -> str:
    lines = ["complete -c petrel -f"]
    for command, about in COMMANDS.items():
        lines.append(f"complete -c petrel -n __fish_use_subcommand -a {command} -d {shlex.quote(about)}")
    for option in found:
        line = f"complete -c petrel -n '__fish_seen_subcommand_from {option.command}'"
        if option.name:
            line += f" -l {option.name.lstrip('-')}"
        if option.choices:
            line += f" -xa {shlex.quote(' '.join(option.choices))}"
        elif option.value == "folder":
            line += " -xa '(__fish_complete_directories)'"
        elif option.value == "file":
            line += " -rF"
        elif option.value:
            line += " -x"
        lines.append(f"{line} -d {shlex.quote(' '.join(option.about.split()))}")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
