"""Kinds of strings that have a grammar of their own: names, users, references, lists of processors."""

from __future__ import annotations

from zonectl.config.kinds import HIDDEN, Refused, Text, shown
from zonectl.model.ids import parse_id
from zonectl.model.names import IMAGE_LENGTH, IMAGE_TAG, IMAGE_WORD, ZONE_NAME_RULE, zone_name
from zonectl.model.signals import STOP_SIGNALS, signal_number

MOST_CPUS = 8192
"""The largest CONFIG_NR_CPUS."""

_ACCOUNT = r"([A-Za-z_][A-Za-z0-9._-]{0,31}|[0-9]{1,10})"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_RANGE = r"[0-9]{1,4}(-[0-9]{1,4})?"


def _user(text: str) -> str:
    for part in text.split(":"):
        if part[0].isdecimal():
            parse_id(part)
    return text


def _stop_signal(text: str) -> str:
    signal_number(text)
    return text


def _cpu_list(text: str) -> str:
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not int(first) <= int(last or first) < MOST_CPUS:
            raise Refused(f"{shown(part)} is not a range below {MOST_CPUS}, lowest first")
    return text


def _link(text: str) -> str:
    if text in {"all", "default"}:
        raise Refused(f"{shown(text)} means every link to the kernel (/proc/sys/net), and cannot name one")
    return text


ZONE = Text(
    label="a zone name",
    pattern="[a-z0-9][a-z0-9-]{0,62}",
    rule=ZONE_NAME_RULE,
    parse=zone_name,
)
ARGUMENT = Text(label="a string", free=True)
ENV_NAME = Text(
    label="the name of an environment variable",
    pattern=f"[^={HIDDEN}]+",
    rule="it must not be empty or hold =",
)
USER = Text(
    label="a user",
    pattern=f"{_ACCOUNT}(:{_ACCOUNT})?",
    rule="write a name or an id, and optionally : and a group; names are of A-Z, a-z, 0-9, . _ and -",
    parse=_user,
)
HOSTNAME = Text(
    label="a host name",
    pattern=rf"{_LABEL}(\.{_LABEL})*",
    rule="labels of a-z, A-Z, 0-9 and -, not at an end, joined by dots (RFC 1123)",
    most=64,
)
STOP_SIGNAL = Text(
    label="a signal that can stop a zone",
    pattern=rf"{'|'.join(STOP_SIGNALS)}|SIGRTMIN(\+[0-9]{{1,2}})?|SIGRTMAX(-[0-9]{{1,2}})?",
    rule="write a name of signal(7) such as SIGTERM or SIGRTMIN+3",
    parse=_stop_signal,
    words=("SIGTERM", "SIGINT", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2"),
)
LABEL_NAME = Text(
    label="the name of a label",
    pattern="[A-Za-z0-9][A-Za-z0-9._/-]{0,127}",
    rule="1 to 128 of a-z, A-Z, 0-9, . _ / and -, starting with a letter or digit",
)
LABEL_VALUE = Text(label="the value of a label", most=1024)
IMAGE = Text(
    label="an image reference",
    pattern=f"{IMAGE_WORD}(?:/{IMAGE_WORD})*(?::{IMAGE_TAG})?",
    rule="write NAME or NAME:TAG of the store, such as debian:12; files are given by path or tar",
    most=IMAGE_LENGTH,
)
CPU_LIST = Text(
    label="a list of processors or nodes",
    pattern=rf"{_RANGE}(,{_RANGE})*",
    rule="write numbers and ranges such as 0-3,6",
    parse=_cpu_list,
)
PAGE_SIZE = Text(
    label="a page size",
    pattern="[1-9][0-9]{0,3}(KB|MB|GB)",
    rule="write it as the kernel does: 2MB, 1GB",
)
DEVICE_ACCESS = Text(
    label="access to a device",
    pattern="(?=[rwm])r?w?m?",
    rule="write r, w and m, in this order, such as rw",
)
SYSCTL_NAME = Text(
    label="the name of a setting",
    pattern=r"[a-z0-9_-]+(\.[A-Za-z0-9_-]+)+",
    rule='write it whole, with dots and in quotes, such as "net.ipv4.ip_forward"',
    most=255,
)
LINK = Text(
    label="the name of a bridge",
    pattern="[A-Za-z0-9][A-Za-z0-9_.-]{0,14}",
    rule="1 to 15 of a-z, A-Z, 0-9, _ . and -, starting with a letter or digit",
    parse=_link,
)
