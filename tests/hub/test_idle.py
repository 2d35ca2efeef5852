"""Idle sessions are stopped, busy ones are not, however silent they are."""

from pathlib import Path

import pytest

from tests.hub.kernel import Kernel
from tests.platform_fixture import Platform, wait_until


@pytest.mark.timeout(240)
def test_an_idle_session_is_stopped_and_a_busy_one_goes_on(tmp_path: Path) -> None:
    # Longer than the half minute in which the server extension looks at its kernels.
    platform = Platform(tmp_path / "state", options=("--idle-seconds", "45"))
    with platform.running():
        ada, ben = platform.sign_in("ada"), platform.sign_in("ben")
        ada.start_session({"group": "spatial-lab", "image": "notebook", "class": "small"})
        with Kernel(ada) as kernel:
            assert kernel.execute("print('here')") == "here\n"
            kernel.send("import time; time.sleep(3600)")
        ben.start_session({"image": "notebook", "class": "small"})

        # Ben came later; when he is gone for idleness, ada would be too, were she idle.
        wait_until(lambda: not ben.server(), "the idle session to be stopped", 150)

        assert ada.server()["ready"]
        assert platform.child("jupyterhub.singleuser").environ()["JUPYTERHUB_USER"] == "ada"
