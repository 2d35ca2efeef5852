"""The users of the demonstration login and their password, for whoever tells people of them.

Apart from the login itself (:mod:`hub_config.logins.demonstration`), so that telling needs no hub.
"""

from dataclasses import dataclass

PASSWORD = "demonstration"  # noqa: S105  (known to everybody on purpose)


@dataclass(frozen=True)
class DemonstrationUser:
    """A user of the demonstration login; ``purpose`` is shown on the login page."""

    name: str
    groups: tuple[str, ...]
    purpose: str
    admin: bool = False


USERS = (
    DemonstrationUser("ada", ("spatial-lab", "gpu-users"), "a researcher in two groups"),
    DemonstrationUser("ben", ("teaching",), "a student, small machines only"),
    DemonstrationUser("admin", ("spatial-lab",), "an administrator", admin=True),
)
