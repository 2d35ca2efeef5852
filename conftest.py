"""What all rings share: order and times, lanes, memory, expected skips, and what beds need."""

pytest_plugins = ("tests.rings", "tests.lanes", "tests.memory", "tests.skips", "tests.bed.fixtures")
