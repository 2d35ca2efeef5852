"""A session that has had the time of its class is stopped, whatever runs in it; others go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hub.kernel import Kernel
from tests.ledger import WHOLE
from tests.platform_fixture import ROOT, Platform
from tests.site import wait_until

SECONDS = 15
#: The hub looks at each server twice a minute.
LOOK_SECONDS = 30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout whose small class allows short sessions only."""
    made = tmp_path / "root"
    (made / "helm-values").mkdir(parents=True)
    for part in ("build", "images"):
        (made / part).symlink_to(ROOT / part)
    catalogue = (ROOT / "helm-values" / "catalogue.yaml").read_text(encoding="utf-8")
    small, found, rest = catalogue.partition("longest_session: 12 h")
    assert found
    assert small.rpartition("- slug: ")[2].startswith("small")
    text = f"{small}longest_session: {SECONDS} s{rest}"
    (made / "helm-values" / "catalogue.yaml").write_text(text, encoding="utf-8")
    return made


def test_a_session_ends_with_the_time_of_its_class(root: Path, tmp_path: Path) -> None:
    platform = Platform(tmp_path / "state", root=root)
    with platform.running():
        ada, ben = platform.sign_in("ada"), platform.sign_in("ben")
        ben.start_session({"image": "notebook", "class": "standard"})
        ada.start_session({"group": "spatial-lab", "image": "notebook", "class": "small"})
        session = ada.client.get("/user/ada/offline-jobs/session").json()
        with Kernel(ada) as kernel:
            kernel.send("import time; time.sleep(3600)")

        wait_until(lambda: not ada.server(), "it to be stopped", SECONDS + 2 * LOOK_SECONDS + 30)

        assert session["longest_seconds"] == SECONDS
        assert 0 < session["ends_in_seconds"] < SECONDS
        wait_until(lambda: platform.read_last_session("ada") == WHOLE, "its end to be told")
        # Its route is gone, too: the hub answers, and offers to start another.
        assert ada.client.get("/user/ada/lab", follow_redirects=True).url.path.startswith("/hub/")
        assert ben.server()["ready"]
