#!/usr/bin/python3
"""A small TCP relay in front of a node's REST API that can be made to hang: relay.py HOST PORT TARGET_PORT.

SIGUSR1: accept and never answer. SIGUSR2: relay again, including the connections that hung. Imports nothing from
the lab, because the lab copies this file to where the unprivileged account can read it.
"""

import asyncio
import signal
import sys


async def copy(reader, writer):
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main(host, port, target_port):
    passing = asyncio.Event()
    passing.set()

    async def serve(reader, writer):
        await passing.wait()
        try:
            onward, back = await asyncio.open_connection(host, target_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, back), copy(onward, writer))

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, passing.clear)
    loop.add_signal_handler(signal.SIGUSR2, passing.set)
    server = await asyncio.start_server(serve, host, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
