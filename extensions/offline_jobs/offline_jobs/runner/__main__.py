"""``python -I -m offline_jobs.runner``: runs one attempt of an offline job.

Reads its environment (``offline_jobs.contract.run``), exits with a code of
``offline_jobs.contract.exits``. Without ``-I`` it starts itself again with it, before it imports
anything else, so that neither the working directory nor the user's site packages can replace one
of its modules; kernels have both.
"""

import os
import sys

if __name__ == "__main__" and not sys.flags.isolated:
    os.execv(sys.executable, [sys.executable, "-I", "-m", "offline_jobs.runner"])  # noqa: S606

import logging
import signal
import time

from offline_jobs.contract.run import ENV_TOKEN
from offline_jobs.runner import execution, spec
from offline_jobs.runner.ending import RunFailedError
from offline_jobs.runner.processes import wipe_variable
from offline_jobs.runner.stopping import Stopping, StopReason

LOG = logging.getLogger("offline_jobs.runner")


def main() -> int:
    """Run the attempt that the environment names; returns the exit code."""
    begun = time.monotonic()
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    LOG.setLevel(logging.INFO)
    token = wipe_variable(ENV_TOKEN) or ""
    stopping = Stopping()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.ask(StopReason.INTERRUPTED))
    try:
        surroundings = spec.parse_surroundings(os.environ, token)
        end = execution.execute(surroundings, stopping, begun)
    except RunFailedError as error:
        end = error.ending
    LOG.info("%s %s", end.outcome, end.message)
    return int(end.exit_code)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    # Threads that still wait for an absent service must not hold up the end.
    os._exit(code)
