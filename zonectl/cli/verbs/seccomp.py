"""seccomp: profiles of system calls, and what they compile to."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.cli import table, values
from zonectl.cli.table import Column
from zonectl.errors import UsageError
from zonectl.model.escape import escape
from zonectl.model.names import ZONE_NAME
from zonectl.model.seccomp import PROFILES

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting
    from zonectl.security.seccomp.architectures import Architecture
    from zonectl.security.seccomp.profile import Profile, Rule

DESCRIPTION = """\
Show a profile of system calls: what it allows, whatever the arguments or depending on them, what it answers to the
others, and the digests by which a zone's filter is recognised. A profile is one of those that zonectl brings along
(default, strict), a file (.toml of zonectl's own form, or .json as OCI runtimes read it), or that of a zone.
"""
EXAMPLES = """\
zonectl seccomp list
zonectl seccomp show default
zonectl seccomp show --bpf strict
zonectl seccomp show --json ./web.toml
zonectl seccomp show web
"""

_COLUMNS = (
    Column("profile", "PROFILE"),
    Column("allowed", "ALLOWED", number=True),
    Column("by_arguments", "BY ARGUMENTS", number=True),
    Column("instructions", "INSTRUCTIONS", number=True),
    Column("no_new_privs", "NO_NEW_PRIVS"),
    Column("digest", "DIGEST"),
)
_DIGEST_SHOWN = 12
_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A profile, and its program on an architecture."""

    profile: Profile
    architecture: Architecture
    program: bytes


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    words = "Show a profile. Without a zone, rules of a file that ask for capabilities are read for the usual ones."
    show = actions.add_parser("show", help="show a profile", description=words)
    show.add_argument("--json", action="store_true", help="print JSON")
    show.add_argument("--bpf", action="store_true", help="show the program too")
    show.add_argument("--nesting", action="store_true", help="as for a zone that may make namespaces")
    show.add_argument(
        "--arch",
        metavar="ARCH",
        choices=("x86_64", "aarch64"),
        help="x86_64 or aarch64; this host's without it",
    )
    show.add_argument(
        "source",
        metavar="PROFILE|FILE|ZONE",
        type=values.text,
        help="default or strict, a file (it ends in .toml or .json), or a zone that has been created",
    )
    show.set_defaults(check=check)
    listing = actions.add_parser(
        "list", help="list the profiles that zonectl brings along", description="List them."
    )
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("-q", "--quiet", action="store_true", help="names only")
    listing.add_argument("--no-headers", action="store_true", help="no titles above the columns")


def check(options: Namespace) -> None:
    """See that it is a profile, a file, or the name of a zone."""
    source = options.source
    if source in PROFILES or _is_file(source):
        return
    if not ZONE_NAME.match(source):
        raise UsageError(
            f"seccomp: {source!r} is neither a profile nor a .toml or .json file nor the name of a zone"
        )
    if options.nesting:
        raise UsageError("seccomp: --nesting is for profiles and files: a zone has it or not")


def run(options: Namespace, setting: Setting) -> int:
    """Show one, or list those that there are."""
    if options.action == "list":
        _list(options)
        return 0
    shown = _compiled(_profile(options, setting), options.arch)
    if options.json:
        print(table.json_text(as_data(shown, bpf=options.bpf)), end="")
    else:
        print("\n".join(map(escape, as_text(shown, bpf=options.bpf))))
    return 0


def _is_file(source: str) -> bool:
    return source.endswith((".toml", ".json"))


def _profile(options: Namespace, setting: Setting) -> Profile:
    from zonectl.config import files
    from zonectl.model import capabilities
    from zonectl.runtime import filters, zones
    from zonectl.security.seccomp import builtin

    source = options.source
    if source in PROFILES:
        return builtin.named(source, nesting=options.nesting)
    if _is_file(source):
        text, usual = files.file_text(source), capabilities.DEFAULT
        found = filters.profile_of(text, source, capabilities=usual, facts=setting.facts())
        return found if options.nesting else builtin.guarded(found)
    setting.require_readable("show a zone's profile")
    context = setting.context()
    wanted = filters.profile_of_zone(context, zones.load(context, source).config, source)
    if wanted is None:
        raise UsageError(f"zone {source} has no filter of system calls: its file says off")
    return wanted


def _compiled(profile: Profile, arch: str | None) -> _Shown:
    from zonectl.security.seccomp import architectures
    from zonectl.security.seccomp.assembler import TooLong
    from zonectl.security.seccomp.compiler import compile_profile

    architecture = architectures.named(arch) if arch else architectures.native()
    try:
        program = compile_profile(profile, architecture)
    except TooLong as error:
        raise UsageError(f"{profile.name}: too long for the kernel: {error}") from error
    return _Shown(profile=profile, architecture=architecture, program=program)


def as_data(shown: _Shown, *, bpf: bool) -> dict[str, object]:
    """A profile for programs."""
    from zonectl.model.seccomp import Filter
    from zonectl.security.seccomp import listing

    profile, architecture = shown.profile, shown.architecture
    loaded = Filter(name=profile.name, digest=profile.digest, program=shown.program)
    program = {"bpf": listing.disassembled(shown.program, architecture)} if bpf else {}
    return {
        "profile": profile.name,
        "digest": profile.digest,
        "architecture": architecture.name,
        "instructions": loaded.instructions,
        "program_digest": loaded.program_digest,
        "no_new_privs": profile.no_new_privs,
        "otherwise": profile.otherwise.word,
        "unknown": profile.unknown.word,
        "answers": listing.answers(profile, architecture),
        "by_arguments": {
            name: [_rule_data(rule) for rule in profile.rules[name]]
            for name in listing.by_arguments(profile, architecture)
        },
        "passed_over": list(profile.passed_over),
        **program,
    }


def _rule_data(rule: Rule) -> dict[str, object]:
    return {
        "action": rule.action.word,
        "conditions": [
            {
                "argument": each.index,
                "mask": each.mask,
                "least": each.least,
                "most": each.most,
                "negated": each.negated,
            }
            for each in rule.conditions
        ],
    }


def as_text(shown: _Shown, *, bpf: bool) -> list[str]:
    """A profile for people."""
    from zonectl.security.seccomp import listing

    profile, architecture = shown.profile, shown.architecture
    lines = _head(shown)
    for name, rules in listing.by_arguments(profile, architecture).items():
        lines += _paragraph(name, rules)
    answers = listing.answers(profile, architecture)
    for word, names in answers.items():
        lines += [
            "",
            f"{word}:",
            *textwrap.wrap(" ".join(names), _WIDTH, initial_indent="  ", subsequent_indent="  "),
        ]
    if profile.passed_over:
        words = " ".join(profile.passed_over)
        lines += [
            "",
            "passed over:",
            *textwrap.wrap(words, _WIDTH, initial_indent="  ", subsequent_indent="  "),
        ]
    return [*lines, "", *listing.disassembled(shown.program, architecture)] if bpf else lines


def _head(shown: _Shown) -> list[str]:
    data = as_data(shown, bpf=False)
    return [
        f"profile       {data['profile']}",
        f"digest        {data['digest']}",
        f"program       {data['program_digest']}",
        f"              {data['instructions']} instructions for {data['architecture']}",
        f"no_new_privs  {'yes' if data['no_new_privs'] else 'no'}",
        f"otherwise     {data['otherwise']}; calls that zonectl does not know: {data['unknown']}",
        "other ABIs    killed (i386, ARM); x32: ENOSYS",
        "",
        "by arguments:",
    ]


def _paragraph(name: str, rules: list[str]) -> list[str]:
    return [f"  {name if not at else '':<12} {rule}" for at, rule in enumerate(rules)]


def _list(options: Namespace) -> None:
    from zonectl.security.seccomp import builtin

    shown = [_compiled(builtin.named(name, nesting=False), None) for name in PROFILES]
    data = [as_data(each, bpf=False) for each in shown]
    if options.quiet:
        print("\n".join(PROFILES))
    elif options.json:
        print(table.json_text(data), end="")
    else:
        rows = [_row(each) for each in shown]
        print("\n".join(table.aligned(_COLUMNS, rows, headers=not options.no_headers)))


def _row(shown: _Shown) -> list[str]:
    from zonectl.security.seccomp import listing

    profile, architecture = shown.profile, shown.architecture
    return [
        profile.name,
        str(len(listing.answers(profile, architecture)["allow"])),
        str(len(listing.by_arguments(profile, architecture))),
        str(len(shown.program) // 8),
        "yes" if profile.no_new_privs else "no",
        profile.digest[:_DIGEST_SHOWN],
    ]
