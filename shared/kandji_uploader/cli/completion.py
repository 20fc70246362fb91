"""Print the completion script for zsh or bash: commands, flags, the choices of a flag, and files where a file goes.

Examples:
  kandji-uploader completion zsh > "${fpath[1]}/_kandji-uploader"
  echo 'source <(kandji-uploader completion zsh)' >> ~/.zshrc
  echo 'eval "$(kandji-uploader completion bash)"' >> ~/.bash_profile
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kandji_uploader.cli import COMMANDS, DONE, PROGRAM, parsers

_NAME = "_kandji_uploader"


def configure(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=("zsh", "bash"))


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    words = vocabulary(parsers())
    print(zsh(words) if arguments.shell == "zsh" else bash(words), end="")
    return DONE


@dataclass(frozen=True)
class Flag:
    """A flag of a command.

    Attributes:
        names: its spellings.
        help: what it does, one line.
        takes_value: whether a word follows it.
        choices: the words that may follow; empty where any may.
    """

    names: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Words:
    """What can be typed after a command, or after a command and its second word.

    Attributes:
        flags: its flags.
        words: what may stand there without a dash: second words, or the choices of an argument.
    """

    flags: tuple[Flag, ...]
    words: tuple[str, ...] = ()


def vocabulary(known: Mapping[str, argparse.ArgumentParser]) -> dict[str, Words]:
    """What can be typed, by the words before it: `upload`, `schedule`, `schedule add`, ..."""
    found: dict[str, Words] = {}
    for name, parser in known.items():
        found[name] = _words(parser)
        for action in parser._actions:  # noqa: SLF001 - argparse has no public way to look into a parser
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
                found.update({f"{name} {word}": _words(below) for word, below in action.choices.items()})
    return found


def _words(parser: argparse.ArgumentParser) -> Words:
    actions = parser._actions  # noqa: SLF001
    flags = tuple(
        Flag(
            tuple(action.option_strings),
            _help(action),
            action.nargs != 0,
            tuple(map(str, action.choices or ())),
        )
        for action in actions
        if action.option_strings and action.help != argparse.SUPPRESS
    )
    words = [str(word) for action in actions if not action.option_strings for word in action.choices or ()]
    return Words(flags, tuple(words))


def _help(action: argparse.Action) -> str:
    return re.sub(r"\s+", " ", action.help or "").replace("%%", "%")


def bash(words: Mapping[str, Words]) -> str:
    """The script for bash 3.2, which macOS has, and newer ones."""
    cases = "\n".join(_bash_case(before, after) for before, after in words.items())
    return f"""\
# bash completion for {PROGRAM}; made by `{PROGRAM} completion bash`
{_NAME}() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    local before="${{COMP_WORDS[1]}}" flags="" words="" choices=""
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
        COMPREPLY=($(compgen -W {_quoted(" ".join(COMMANDS))} -- "$current"))
        return
    fi
    [[ $before == -* ]] && before=upload
    case "$before" in
        {"|".join(sorted({each.split()[0] for each in words if " " in each}) or ["-"])})
            [[ $COMP_CWORD -gt 2 ]] && before="$before ${{COMP_WORDS[2]}}" ;;
    esac
    case "$before" in
{cases}
    esac
    if [[ -n $choices ]]; then
        COMPREPLY=($(compgen -W "$choices" -- "$current"))
    elif [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$flags" -- "$current"))
    elif [[ -n $words ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    fi
}}
complete -o default -o bashdefault -F {_NAME} {PROGRAM}
"""


def _bash_case(before: str, after: Words) -> str:
    names = " ".join(name for flag in after.flags for name in flag.names)
    chosen = [
        f"                {'|'.join(flag.names)}) choices={_quoted(' '.join(flag.choices))} ;;"
        for flag in after.flags
        if flag.choices
    ]
    inner = ['            case "$previous" in', *chosen, "            esac"] if chosen else []
    head = f"        {_quoted(before)})\n            flags={_quoted(names)} words={_quoted(' '.join(after.words))}"
    return "\n".join([head, *inner, "            ;;"])


def zsh(words: Mapping[str, Words]) -> str:
    """The script for zsh; it works from a folder of `fpath` and when it is sourced."""
    listing = "\n".join(f"        {_quoted(f'{name}:{purpose}')}" for name, (_, purpose) in COMMANDS.items())
    cases = "\n".join(_zsh_case(before, after) for before, after in words.items())
    return f"""\
#compdef {PROGRAM}
# zsh completion for {PROGRAM}; made by `{PROGRAM} completion zsh`
{_NAME}() {{
    local -a commands
    commands=(
{listing}
    )
    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
        _describe -t commands command commands
        return
    fi
    local before=$words[2]
    if [[ $before == -* ]]; then
        before=upload
    else
        shift words
        (( CURRENT-- ))
    fi
    case $before in
        ({"|".join(sorted({each.split()[0] for each in words if " " in each}) or ["-"])})
            if (( CURRENT > 2 )); then
                before="$before $words[2]"
                shift words
                (( CURRENT-- ))
            fi ;;
    esac
    case $before in
{cases}
    esac
}}
if [[ $funcstack[1] == _{PROGRAM} ]]; then
    {_NAME} "$@"
elif (( $+functions[compdef] )); then
    compdef {_NAME} {PROGRAM}
fi
"""


def _zsh_case(before: str, after: Words) -> str:
    specs = [spec for flag in after.flags for spec in _zsh_flag(flag)]
    rest = f"*:word:({' '.join(after.words)})" if after.words else "*:file:_files"
    lines = " \\\n".join(f"                {_quoted(spec)}" for spec in [*specs, rest])
    return f"        ({_quoted(before)})\n            _arguments -s \\\n{lines} ;;"


def _zsh_flag(flag: Flag) -> Sequence[str]:
    """The specifications of `_arguments` for each spelling of a flag."""
    text = re.sub(r"([\[\]:\\])", r"\\\1", flag.help)
    value = ""
    if flag.takes_value:
        value = f":value:({' '.join(flag.choices)})" if flag.choices else ":value:_files"
    return [f"*{name}[{text}]{value}" for name in flag.names]


def _quoted(text: str) -> str:
    """A text as one word of a shell, in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"
