"""Writers of a ledger as processes of their own: many at once, and such as are killed.

`python helpers_ledger.py write WORKSPACE WHO COUNT` prints the hash of each event that was acknowledged.
`python helpers_ledger.py kill WORKSPACE TIMES SEED` forks writers, kills each at a random instant, and prints the same.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time

from mlnb.core.ledger import Ledger
from mlnb.core.workspace import make
from mlnb.tracking.anchor import open_ledger

SUBJECT = "models:/m-1"


def write(ledger: Ledger, who: str, numbers: range) -> None:
    """Add events, and say of each that it is acknowledged, in one write."""
    for number in numbers:
        event = ledger.append("checklist.sign", SUBJECT, actor={"name": who}, details={"number": number})
        os.write(1, f"{event.hash} {who} {number}\n".encode())


def kill(ledger: Ledger, times: int, seed: int) -> None:
    """Let a writer begin, kill it in its first write or in a later one, and begin the next on what it left."""
    chance = random.Random(seed)
    for turn in range(times):
        said, says = os.pipe()
        child = os.fork()
        if not child:
            write(ledger, f"turn {turn}", range(turn % 2))
            os.write(says, b".")
            write(ledger, f"turn {turn}", range(turn % 2, 10_000))
        os.read(said, 1)
        time.sleep(chance.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(said)
        os.close(says)


if __name__ == "__main__":
    job, workspace, *rest = sys.argv[1:]
    opened = open_ledger(make(workspace))
    if job == "write":
        write(opened, rest[0], range(int(rest[1])))
    else:
        kill(opened, int(rest[0]), int(rest[1]))
