"""How busy a run was: whose time counts, and over which spans."""

import subprocess
import sys

from offline_jobs.runner.processes import tree_cpu_seconds
from offline_jobs.runner.processor import ProcessorUse

BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\n"


def test_processes_below_count_while_they_live_and_when_they_have_ended() -> None:
    before = tree_cpu_seconds()
    command = [sys.executable, "-c", f"{BURN}input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline()
        assert tree_cpu_seconds() - before > 0.25
    assert child.wait() != 0
    assert tree_cpu_seconds() - before > 0.25


def test_the_busiest_span_is_a_mean_of_ten_seconds() -> None:
    use = ProcessorUse()
    for now, seconds in [(100, 1), (110, 1), (115, 16), (120, 21), (131, 25)]:
        use.look(now, seconds)
    # 20 s of work in the ten seconds from 110 on; the five of them that were busier do not count.
    assert (use.seconds, use.most_cores) == (25, 2)


def test_a_short_run_has_no_busiest_span() -> None:
    use = ProcessorUse()
    use.look(100, 1)
    use.look(109.9, 9)
    assert (use.seconds, use.most_cores) == (9, 0)
    assert not use.is_due(109.9)
    assert use.is_due(110)


def test_what_was_lost_sight_of_is_not_taken_back() -> None:
    use = ProcessorUse()
    for now, seconds in [(0, 5), (10, 20), (20, 3), (30, 25)]:
        use.look(now, seconds)
    assert (use.seconds, use.most_cores) == (25, 1.5)
