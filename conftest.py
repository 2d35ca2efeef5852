"""What all rings share: how they are ordered and timed, and which skips are expected."""

pytest_plugins = ("tests.rings", "tests.skips")
