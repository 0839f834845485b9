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

from jobs.cli import COMMANDS, VERBS, command_of
from jobs.common import main_of, parser_of
from jobs.output import say_lines
from lakehouse.config import Config

SHELLS = ("bash", "zsh", "fish")

BASH = """\
_petrel() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}}
    local lake=.petrel words= i option=compopt
    type compopt &>/dev/null || option=:
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "{commands} --help --version" -- "$cur"))
        return
    fi
    for ((i = 2; i < COMP_CWORD; i++)); do
        [[ ${{COMP_WORDS[i]}} == --lake ]] && lake=${{COMP_WORDS[i+1]}}
    done
    ((COMP_CWORD == 2)) && [[ $cur != -* ]] && case "$command" in
{verbs}
    esac
    ((COMP_CWORD > 2)) && case "$command ${{COMP_WORDS[2]}}" in
        {pairs}) command="$command ${{COMP_WORDS[2]}}" ;;
    esac
    case "$command $prev" in
{values}
    esac
    [[ $cur == -* ]] && case "$command" in
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
        command: Name of the command, with its verb where it has one.
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
    found = [option for command in _all_commands() for option in _options(command)]
    say_lines((_fish(found) if args.shell == "fish" else (ZSH if args.shell == "zsh" else "") + _bash(found)).rstrip())
    return 0


def _all_commands() -> Iterator[str]:
    for command in COMMANDS:
        yield command
        yield from (f"{command} {verb}" for verb in VERBS.get(command, ()))


def _options(command: str) -> Iterator[Option]:
    parser = parser_of(command_of(command), engine="embedded", program=f"petrel {command}")
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
    for command in _all_commands():
        own = [option for option in found if option.command == command]
        for option in own:
            # A word without an option comes right after the command.
            place = shlex.quote(f"{command} {option.name or command.split()[-1]}")
            if option.choices:
                words = shlex.quote(" ".join(option.choices))
                values.append(f'        {place}) COMPREPLY=($(compgen -W {words} -- "$cur")); return ;;')
            elif option.value:
                values.append(f"        {place}) {BASH_VALUES[option.value]} ;;")
        names = shlex.quote(" ".join(option.name for option in own if option.name.startswith("--")))
        options.append(f"        {shlex.quote(command)}) words={names} ;;")
    verbs = [
        f'        {command}) COMPREPLY=($(compgen -W "{" ".join(known)}" -- "$cur")); return ;;'
        for command, known in VERBS.items()
    ]
    pairs = "|".join(f"'{command} {verb}'" for command, known in VERBS.items() for verb in known)
    return BASH.format(
        commands=" ".join(COMMANDS), verbs="\n".join(verbs), pairs=pairs, values="\n".join(values),
        options="\n".join(options),
    )


def _fish(found: Sequence[Option]) -> str:
    lines = ["complete -c petrel -f"]
    for command, about in COMMANDS.items():
        lines.append(f"complete -c petrel -n __fish_use_subcommand -a {command} -d {shlex.quote(about)}")
    for command, verbs in VERBS.items():
        for verb, (_, about) in verbs.items():
            lines.append(f"complete -c petrel -n '{_fish_seen(command)}' -a {verb} -d {shlex.quote(about)}")
    for option in found:
        line = f"complete -c petrel -n '{_fish_seen(option.command)}'"
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


def _fish_seen(command: str) -> str:
    """Return the condition under which the words of a command stand in the line, and no verb of it beside them."""
    first, _, verb = command.partition(" ")
    seen = f"__fish_seen_subcommand_from {first}"
    if verb:
        return f"{seen}; and __fish_seen_subcommand_from {verb}"
    verbs = " ".join(VERBS.get(first, ()))
    return f"{seen}; and not __fish_seen_subcommand_from {verbs}" if verbs else seen


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program."""
    return main_of(sys.modules[__name__], argv)


if __name__ == "__main__":
    sys.exit(main())
