"""Runs one attack in a process of its own, as a client on another machine would: started by tests/hostile/run.

Prints a line of JSON when the attack is fully there, and one with its counts at its end. A timer of the kernel ends
the process should it outlive its time.
"""

import asyncio
import json
import os
import signal
import sys

from attacks import ATTACKS, Attacker


def say(**words):
    print(json.dumps(words), flush=True)


async def main(order):
    attack = next(one for one in ATTACKS if one.name == order["name"])
    attacker = Attacker(tuple(order["target"]), order["addresses"], attack.clients, attack.rate, order["seconds"],
                        order["password"], lambda: say(ready=True))
    await attack.run(attacker)
    say(opened=attacker.opened, refused=attacker.refused, done=attacker.done)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    signal.alarm(int(given["seconds"]) + 60)
    os.nice(5)  # the attackers' own work happens on other machines
    asyncio.run(main(given))
