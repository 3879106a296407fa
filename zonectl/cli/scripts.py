"""Scripts that complete commands, made from the parsers themselves."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from zonectl.cli import catalog, parsing

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_ZONES = frozenset({"verify", "schema", "create", "image", "run", "doctor", "help", "completion"})
_GLOBAL = "--root --run --no-daemon --debug --version --help"

_BASH = """\
# bash completion of zonectl; made by `zonectl completion bash`
_zonectl() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" verb="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${{COMP_WORDS[i]}}" in
            --root|--run) ((i++)) ;;
            -*) ;;
            *) verb="${{COMP_WORDS[i]}}"; break ;;
        esac
    done
    local words=""
    case "$verb" in
        "") if [[ $word == -* ]]; then words="{options}"; else words="{verbs}"; fi ;;
{cases}
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o default -F _zonectl zonectl
"""
_CASE = """\
        {verb}) if [[ $word == -* ]]; then words="{options}"; else words="{others}"; fi ;;"""
_ZONES = "$(zonectl list -cq 2>/dev/null)"
_ACTIONS = "build import list prune remove verify"


def bash() -> str:
    """For bash."""
    cases = "\n".join(
        _CASE.format(verb=name, options=" ".join(_options(name)), others=_others(name))
        for name in catalog.VERBS
    )
    return _BASH.format(verbs=" ".join(catalog.VERBS), options=_GLOBAL, cases=cases)


def zsh() -> str:
    """For zsh, by its emulation of bash's completion."""
    return f"#compdef zonectl\nautoload -U +X bashcompinit && bashcompinit\n{bash()}"


def fish() -> str:
    """For fish."""
    lines = ["# fish completion of zonectl; made by `zonectl completion fish`"]
    for name, verb in catalog.VERBS.items():
        lines.append(
            f"complete -c zonectl -n __fish_use_subcommand -f -a {name} -d {shlex.quote(verb.summary)}"
        )
        seen = f"-n {shlex.quote(f'__fish_seen_subcommand_from {name}')}"
        for option in _options(name):
            kind = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            lines.append(f"complete -c zonectl {seen} {kind}")
        if name not in _NO_ZONES:
            lines.append(f"complete -c zonectl {seen} -f -a '(zonectl list -cq 2>/dev/null)'")
    return "\n".join(lines) + "\n"


def _options(name: str) -> list[str]:
    return parsing.parser_of(name).options()


def _others(name: str) -> str:
    if name == "image":
        return _ACTIONS
    if name == "bench":
        return f"{_ZONES} list compare"
    if name == "help":
        return " ".join(catalog.VERBS)
    return "" if name in _NO_ZONES else _ZONES


SCRIPTS: dict[str, Callable[[], str]] = {"bash": bash, "fish": fish, "zsh": zsh}
