"""A client for Patroni's REST API. It always asks the node directly, never through a relay."""

import json
import socket


def ask(address, port, path="/patroni", method="GET", body=None, timeout=3):
    """(status, decoded body or text). OSError if there is no answer in time or it is empty.

    Patroni speaks HTTP/1.0 and closes after its answer (api.py of 3.0.2), so the reply ends at end of file.
    """
    payload = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.0\r\nContent-Length: {len(payload)}\r\n\r\n"
    answer = bytearray()
    with socket.create_connection((address, port), timeout) as link:
        link.sendall(head.encode() + payload)
        while piece := link.recv(65536):
            answer += piece
    start, _, rest = bytes(answer).partition(b"\r\n\r\n")
    words = start.split(None, 2)
    if len(words) < 2:
        raise ConnectionError("an empty reply")
    try:
        return int(words[1]), json.loads(rest)
    except ValueError:
        return int(words[1]), rest.decode(errors="replace").strip()


def writable(status, body):
    """The lease alone is not enough: a new leader holds it before its promotion begins."""
    return (status == 200 and isinstance(body, dict) and body.get("role") in ("master", "primary")
            and "location" in body.get("xlog", {}))
