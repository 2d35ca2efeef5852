"""Ports for servers of tests, which are chosen a while before they are used."""

from hub_config.embedded.state import listen_apart


def find_free_port() -> int:
    """A port that is free now, and that the system gives to nobody who asks for any."""
    with listen_apart() as listener:
        port: int = listener.getsockname()[1]
        return port
