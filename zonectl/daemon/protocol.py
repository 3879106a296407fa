"""What a client and its worker say to each other over RUN/zoned.sock, a stream socket.

A frame is a header of 8 bytes (kind, an ASCII letter; three zero bytes; the body's length, 32 bits, little-endian)
and the body. Descriptors travel by SCM_RIGHTS (unix(7)) with the header's first byte. Every client can speak it:

    client                                            worker
      H  hello, with descriptors             ->
                                             <-         W  welcome: from here on nothing is done twice
                                             <-         V  I am of another version: connect again, zoned is changing
                                             <-         M  the master of a pty made in a zone (1 descriptor): pump it
                                             <-         P  pipes for those of your streams that are terminals
      S  signal N (decimal)                  ->
                                             <-         Q  read me a line from your terminal
      A  that line; empty at its end         ->
                                             <-         D  copy what is left and make the terminal sane again
      D  done                                ->
                                             <-         T  text for your standard error
                                             <-         X  exit status (decimal)

The hello's body is a list of fields, each ended by a NUL: `zonectl-1`, version, umask (octal), the digits of those
of streams 0..2 that are terminals, the digits of those whose descriptors are sent, rows, columns, the number of
words that start a zoned of the client's version and the words, the number of arguments and the arguments, the
environment. Its descriptors are the working directory and the streams named. Of a terminal only 1 and 2 are sent,
for writing: nobody but the client reads a terminal.

The client imports this module: nothing here may import more than what the interpreter has built in.
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"zonectl-1"
HEADER_BYTES = 8
MAX_BODY_BYTES = 16 << 20
MAX_DESCRIPTORS = 8
_INT_BYTES = 4

HELLO, WELCOME, VERSION = b"H", b"W", b"V"
MASTER, PIPES, DRAIN = b"M", b"P", b"D"
SIGNAL, ASK, ANSWER = b"S", b"Q", b"A"
TEXT, EXIT = b"T", b"X"


class ProtocolError(Exception):
    """The other side broke off inside a frame, or sent what is no frame."""


class Frame:
    """One frame as received; `descriptors` belong to whoever received it."""

    __slots__ = ("body", "descriptors", "kind")

    def __init__(self, kind: bytes, body: bytes = b"", descriptors: tuple[int, ...] = ()) -> None:
        self.kind = kind
        self.body = body
        self.descriptors = descriptors


class Hello:
    """What a client says of itself; everything is bytes, as the kernel has it."""

    __slots__ = ("argv", "environment", "program", "sent", "terminals", "umask", "version", "window")

    def __init__(
        self,
        *,
        version: bytes,
        umask: int,
        terminals: frozenset[int],
        sent: tuple[int, ...],
        window: tuple[int, int],
        program: tuple[bytes, ...],
        argv: tuple[bytes, ...],
        environment: tuple[bytes, ...],
    ) -> None:
        self.version = version
        self.umask = umask
        self.terminals = terminals
        self.sent = sent
        self.window = window
        self.program = program
        self.argv = argv
        self.environment = environment

    def pack(self) -> bytes:
        """The body of the hello."""
        fields = [
            MAGIC,
            self.version,
            b"%o" % self.umask,
            b"".join(b"%d" % stream for stream in sorted(self.terminals)),
            b"".join(b"%d" % stream for stream in self.sent),
            b"%d" % self.window[0],
            b"%d" % self.window[1],
            b"%d" % len(self.program),
            *self.program,
            b"%d" % len(self.argv),
            *self.argv,
            *self.environment,
        ]
        return b"\0".join(fields) + b"\0"


def unpack_hello(body: bytes) -> Hello:
    """The hello that `body` holds.

    Raises:
        ProtocolError: it is none, or of a protocol that this code does not speak.

    """
    fields = body.split(b"\0")
    if fields[0] != MAGIC or fields.pop() != b"":
        raise ProtocolError("not a hello of this protocol")
    try:
        version, umask, terminals, sent, rows, columns = fields[1:7]
        program, fields = _counted(fields[7:])
        argv, environment = _counted(fields)
        return Hello(
            version=version,
            umask=int(umask, 8) & 0o777,
            terminals=frozenset(_streams(terminals)),
            sent=_streams(sent),
            window=(int(rows), int(columns)),
            program=tuple(program),
            argv=tuple(argv),
            environment=tuple(environment),
        )
    except (ValueError, IndexError) as error:
        raise ProtocolError("a hello with a field that is no number") from error


def _counted(fields: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """A count and as many fields, and the rest."""
    end = 1 + int(fields[0])
    if not 1 <= end <= len(fields):
        raise ProtocolError("a hello whose counts do not fit")
    return fields[1:end], fields[end:]


def _streams(digits: bytes) -> tuple[int, ...]:
    streams = tuple(byte - ord("0") for byte in digits)
    if not set(streams) <= {0, 1, 2}:
        raise ProtocolError("a hello with a stream that is none")
    return streams


def send(sock: _socket.socket, kind: bytes, body: bytes = b"", *, descriptors: Sequence[int] = ()) -> None:
    """Send one frame.

    Raises:
        OSError: the other side has gone (BrokenPipeError, ConnectionResetError).

    """
    data = kind + bytes(3) + len(body).to_bytes(4, "little") + body
    rights = b"".join(fd.to_bytes(_INT_BYTES, "little") for fd in descriptors)
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if rights else []
    sent = sock.sendmsg([data], ancillary)
    if sent < len(data):
        sock.sendall(data[sent:])


def receive(sock: _socket.socket) -> Frame | None:
    """The next frame; None at the end of the conversation. The descriptors are close-on-exec.

    Raises:
        ProtocolError: the other side broke off inside a frame, or sent what is none.

    """
    room = _socket.CMSG_SPACE(MAX_DESCRIPTORS * _INT_BYTES)
    try:
        header, ancillary, flags, _ = sock.recvmsg(HEADER_BYTES, room, _socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    descriptors = tuple(_descriptors(ancillary))
    if not header:
        return None
    header += _exactly(sock, HEADER_BYTES - len(header))
    length = int.from_bytes(header[4:], "little")
    if length > MAX_BODY_BYTES or header[1:4] != bytes(3) or flags & _socket.MSG_CTRUNC:
        raise ProtocolError("not a frame")
    return Frame(header[:1], _exactly(sock, length), descriptors)


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    found: list[int] = []
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            whole = len(data) - len(data) % _INT_BYTES
            found += [int.from_bytes(data[i : i + _INT_BYTES], "little") for i in range(0, whole, _INT_BYTES)]
    return found


def _exactly(sock: _socket.socket, count: int) -> bytes:
    parts = []
    while count:
        try:
            part = sock.recv(min(count, 1 << 20))
        except ConnectionResetError:
            part = b""
        if not part:
            raise ProtocolError("the other side broke off inside a frame")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
