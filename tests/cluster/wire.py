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


def idle_session(host, port, seconds=30):
    """A socket with an unencrypted, logged-in session. The role must not need a password."""
    link = socket.create_connection((host, port), seconds)
    link.sendall(startup())
    while read_message(link)[0] != b"Z":
        pass
    return link


def ask(link):
    """A round trip on an idle session. None, or why there was none: the server's error, or what the socket says."""
    body = b"select 1\0"
    try:
        link.sendall(b"Q" + struct.pack("!I", len(body) + 4) + body)
        while (message := read_message(link))[0] != b"Z":
            if message[0] == b"E":
                return message[1].decode(errors="replace")
        return None
    except OSError as error:
        return str(error)


def first_answer(host, port, seconds=30):
    """The answer to an unencrypted StartupMessage: (type byte, ErrorResponse fields or {})."""
    with socket.create_connection((host, port), seconds) as link:
        link.sendall(startup())
        kind, body = read_message(link)
        return kind, error_fields(body) if kind == b"E" else {}
