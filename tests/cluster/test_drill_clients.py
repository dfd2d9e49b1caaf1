"""What the drills count as acknowledged. No cluster: a server that says what the test needs."""

import socket
import struct
import threading

import pytest

from lab.clients import Link, Refused


def message(kind, body=b""):
    return kind + struct.pack("!i", len(body) + 4) + body


READY = message(b"Z", b"I")
COLUMN = struct.pack("!h", 1) + b"at\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
ROW = message(b"D", struct.pack("!hi", 1, 1) + b"a")
ROW_AND_DONE = message(b"1") + message(b"2") + message(b"T", COLUMN) + ROW + message(b"C", b"INSERT 0 1\0")
ENDED = message(b"E", b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0")


@pytest.fixture
def server():
    """Answers one login and one statement; gives a function that says how, and the DSN."""
    listening = socket.create_server(("127.0.0.1", 0))
    threads = []

    def answer_with(answer):
        def serve():
            link, _ = listening.accept()
            with link:
                link.settimeout(10)
                link.recv(65536)
                link.sendall(message(b"R", struct.pack("!i", 0)) + READY)
                link.recv(65536)
                link.sendall(answer)
        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return f"host=127.0.0.1 port={listening.getsockname()[1]} user=u dbname=d sslmode=disable gssencmode=disable"

    yield answer_with
    listening.close()
    for thread in threads:
        thread.join(10)


def test_a_row_counts_when_the_server_is_ready_again(server):
    assert Link(server(ROW_AND_DONE + READY)).ask("insert") == "a"


def test_a_row_whose_transaction_was_ended_before_its_commit_does_not_count(server):
    with pytest.raises(Refused) as refused:
        Link(server(ROW_AND_DONE + ENDED)).ask("insert")
    assert refused.value.kind == "57P01"


def test_nor_does_one_whose_server_was_gone_then(server):
    with pytest.raises(Refused):
        Link(server(ROW_AND_DONE)).ask("insert")
