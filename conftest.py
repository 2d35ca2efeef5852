"""What all rings share: order and times, expected skips, and the bed that two of them use."""

pytest_plugins = ("tests.rings", "tests.skips", "tests.bed.fixtures")
