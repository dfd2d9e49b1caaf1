"""The start of a PostgreSQL session by hand, to see what drivers hide."""

import socket
import struct


def startup(user="app", database="app", **options):
    params = {"user": user, "database": database} | options
    body = b"".join(f"{key}\0{value}\0".encode() for key, value in params.items()) + b"\0"
    return struct.pack("!II", len(body) + 8, 196608) + body


def read_exactly(link, count):
    data = b""
    while len(data) < count:
        piece = link.recv(count - len(data))
        if not piece:
            raise ConnectionError(f"closed after {len(data)} of {count} bytes")
        data += piece
    return data


def read_message(link):
    """(type byte, body)"""
    kind = read_exactly(link, 1)
    return kind, read_exactly(link, struct.unpack("!I", read_exactly(link, 4))[0] - 4)


def error_fields(body):
    return {field[:1].decode(): field[1:].decode() for field in body.split(b"\0") if field}


class ServerError(Exception):
    """An ErrorResponse; .fields by their letters."""

    def __init__(self, body):
        self.fields = error_fields(body)
        detail = self.fields.get("D")
        super().__init__(f"{self.fields['C']} {self.fields['M']}" + (f" ({detail})" if detail else ""))


def _read_until_ready(link):
    """The messages before ReadyForQuery."""
    messages = []
    while (message := read_message(link))[0] != b"Z":
        if message[0] == b"E":
            raise ServerError(message[1])
        messages.append(message)
    return messages


def idle_session(host, port, seconds=30):
    """A socket with an unencrypted, logged-in session. The role must not need a password."""
    link = socket.create_connection((host, port), seconds)
    try:
        link.sendall(startup())
        _read_until_ready(link)
    except BaseException:
        link.close()
        raise
    return link


def value(link, statement):
    """The first column of the first row."""
    body = statement.encode() + b"\0"
    link.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
    row = next(body for kind, body in _read_until_ready(link) if kind == b"D")
    return row[6:6 + struct.unpack("!i", row[2:6])[0]].decode()


def ask(link):
    """A round trip on an idle session. None, or why there was none: the server's error, or what the socket says."""
    try:
        value(link, "select 1")
        return None
    except (OSError, ServerError) as error:
        return str(error)


def first_answer(host, port, seconds=30):
    """The answer to an unencrypted StartupMessage: (type byte, ErrorResponse fields or {})."""
    with socket.create_connection((host, port), seconds) as link:
        link.sendall(startup())
        kind, body = read_message(link)
        return kind, error_fields(body) if kind == b"E" else {}
