"""``python -m offline_jobs.service``: the jobs service.

Settings come from the environment (``settings.py``). What an administrator has to mend is said in
one line, and the exit code is 2. SIGTERM and SIGINT end it in an orderly way.
"""

import asyncio
import logging
import signal
import sys

from offline_jobs.service import logs
from offline_jobs.service.crash import arm
from offline_jobs.service.errors import StartRefused
from offline_jobs.service.ground import Ground, hold_ground
from offline_jobs.service.settings import Settings, check_address, load_settings

REFUSED_EXIT = 2


def main() -> int:
    """Serve until a signal comes; the exit code."""
    try:
        settings = load_settings()
        logs.set_up(settings.log_level)
        check_address(settings)
        arm(settings.crash_at or None, demonstration=settings.demonstration)
        with hold_ground(settings) as ground:
            asyncio.run(_serve(settings, ground))
    except StartRefused as e:
        sys.stderr.write(f"offline-jobs: {e}\n")
        return REFUSED_EXIT
    logging.getLogger(__name__).info("ended")
    return 0


async def _serve(settings: Settings, ground: Ground) -> None:
    # Imported here: it takes a second, and what is refused is to be refused at once.
    from offline_jobs.service.app import serve  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, ground, stop)


if __name__ == "__main__":
    sys.exit(main())
