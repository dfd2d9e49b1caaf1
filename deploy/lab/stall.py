#!/usr/bin/python3
"""Stops the one thread of Patroni that accepts REST connections: stall.py PID. Everything else in Patroni goes on.

The thread sits in poll() with a timeout of 500 ms (serve_forever of Python's socketserver) and holds no lock there, so
it can be stopped without stopping the others. The kernel goes on to accept connections until the backlog is full, and
then drops packets. When this program ends, in whatever way, the thread continues. Linux on x86-64 alone. Imports
nothing from the lab, because the lab copies this file to where the unprivileged account can read it.
"""

import ctypes
import os
import signal
import sys
import time

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # ptrace requests
WAIT_FOR_THREADS = 0x40000000  # __WALL
POLL, POLL_MS = 7, 500  # the number of the system call; its timeout here

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def accepts(pid, thread):
    """Whether the thread waits in poll() for one descriptor and 500 ms."""
    with open(f"/proc/{pid}/task/{thread}/syscall", encoding="ascii") as source:
        words = source.read().split()
    return len(words) > 3 and words[0] == str(POLL) and int(words[2], 16) == 1 and int(words[3], 16) == POLL_MS


def stop(pid, thread):
    """Whether the thread is stopped where it holds no lock."""
    ptrace(SEIZE, thread)
    ptrace(INTERRUPT, thread)
    os.waitpid(thread, WAIT_FOR_THREADS)
    if accepts(pid, thread):
        return True
    ptrace(DETACH, thread)
    return False


def main(pid):
    for _ in range(500):
        for thread in map(int, os.listdir(f"/proc/{pid}/task")):
            if accepts(pid, thread) and stop(pid, thread):
                print(f"thread {thread} of Patroni is stopped", flush=True)
                while True:
                    signal.pause()
        time.sleep(0.01)
    sys.exit(f"no thread of process {pid} looks like the one that accepts REST connections")


if __name__ == "__main__":
    main(int(sys.argv[1]))
