"""The system call filter of a zone, for its init and for each exec.

A profile from a file is read by create, and kept with the zone as its zone file is: what happens to the file later
changes nothing for a zone that has been created, and no start can fail for it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from zonectl.config import files
from zonectl.config.profile_file import read_oci, read_toml
from zonectl.errors import ConfigError, StoreError
from zonectl.model.problems import Problem
from zonectl.model.seccomp import OFF, PROFILES
from zonectl.security.seccomp import architectures, builtin, filters
from zonectl.security.seccomp.assembler import TooLong
from zonectl.security.seccomp.cache import filter_of
from zonectl.security.seccomp.files import Setting, needed_and_refused, of_file, of_oci
from zonectl.store import documents

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig
    from zonectl.model.facts import HostFacts
    from zonectl.model.seccomp import Filter
    from zonectl.runtime.context import Context
    from zonectl.security.seccomp.profile import Profile

_OCI_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}


def of_zone(context: Context, config: ZoneConfig, name: str) -> Filter | None:
    """The filter of the created zone `name`; None where its file asks for none.

    Raises:
        HostLacks: there is none for this host's architecture.
        StoreError: the profile that create kept is not there.

    """
    wanted, folder = config.security, context.paths.filters_dir
    if wanted.seccomp in {OFF, *PROFILES}:
        return of_config(config, context.facts, folder=folder)
    path, text = _kept(context, config, name)
    return _of_text(text, path, config=config, facts=context.facts, folder=folder)


def of_config(config: ZoneConfig, facts: HostFacts, *, folder: str | None = None) -> Filter | None:
    """The filter that a zone of `config` would have; what was compiled is kept in `folder`, if one is given.

    Raises:
        HostLacks: there is none for this host's architecture.
        ConfigError: a file of system calls cannot be read, or has problems.

    """
    wanted = config.security
    if wanted.seccomp == OFF:
        return None
    if wanted.seccomp in PROFILES:
        return filters.named(wanted.seccomp, nesting=wanted.nesting, folder=folder)
    text = files.file_text(wanted.seccomp)
    return _of_text(text, wanted.seccomp, config=config, facts=facts, folder=folder)


def keep(context: Context, config: ZoneConfig, name: str, *, volatile: bool = False) -> None:
    """Keep the file of system calls that `config` names, if it does, with the zone `name`.

    Raises:
        ConfigError: it cannot be read, or has problems.
        StoreError: it cannot be kept.

    """
    path = config.security.seccomp
    if path in {OFF, *PROFILES}:
        return
    text = files.file_text(path)
    _of_text(text, path, config=config, facts=context.facts, folder=context.paths.filters_dir)
    documents.write_text(context.paths.profile_file(name, _ending(path)), text, volatile=volatile)


def profile_of_zone(context: Context, config: ZoneConfig, name: str) -> Profile | None:
    """What the filter of the created zone `name` is made of; raises as `of_zone`."""
    wanted = config.security
    if wanted.seccomp == OFF:
        return None
    if wanted.seccomp in PROFILES:
        return builtin.named(wanted.seccomp, nesting=wanted.nesting)
    path, text = _kept(context, config, name)
    return _profile(text, path, config=config, facts=context.facts)


def profile_of(text: str, path: str, *, capabilities: int, facts: HostFacts) -> Profile:
    """The profile in the text of the file `path`, in the form that its ending says.

    `capabilities` is the set (a mask) of the zone that it is for.

    Raises:
        ConfigError: with every problem.

    """
    architecture, known = architectures.native(), architectures.every_name()
    if _ending(path) == ".toml":
        found = of_file(read_toml(text, file=path, known=known), path)
    else:
        named = _OCI_ARCHITECTURES[architecture.name]
        file = read_oci(text, file=path, known=known, architecture=named)
        setting = Setting(capabilities=capabilities, architecture=architecture, kernel=facts.kernel)
        found = of_oci(file, path, setting=setting, known=known)
    if refused := needed_and_refused(found):
        message = f"refuses {', '.join(refused)}: no program could be started"
        raise ConfigError([Problem(file=path, line=None, key="", message=message)])
    return found


def _kept(context: Context, config: ZoneConfig, name: str) -> tuple[str, str]:
    """The path and the text of the profile that create kept."""
    path = context.paths.profile_file(name, _ending(config.security.seccomp))
    text = documents.read_text(path)
    if text is None:
        raise StoreError(f"{path} is missing", zone=name, hint=f"zonectl delete {name}")
    return path, text


def _of_text(text: str, path: str, *, config: ZoneConfig, facts: HostFacts, folder: str | None) -> Filter:
    capabilities, nesting = config.granted.granted, config.security.nesting
    make = partial(_profile, text, path, config=config, facts=facts)
    digest = hashlib.sha256(text.encode()).hexdigest()
    source = f"{_ending(path)} {digest} {capabilities:#x} {facts.kernel} {nesting} {config.security.seccomp}"
    try:
        return filter_of(source, make, folder=folder)
    except TooLong as error:
        problem = Problem(file=path, line=None, key="", message=f"too long for the kernel: {error}")
        raise ConfigError([problem]) from error


def _profile(text: str, path: str, *, config: ZoneConfig, facts: HostFacts) -> Profile:
    found = profile_of(text, path, capabilities=config.granted.granted, facts=facts)
    found = replace(found, name=config.security.seccomp)
    return found if config.security.nesting else builtin.guarded(found)


def _ending(path: str) -> str:
    return os.path.splitext(path)[1]
