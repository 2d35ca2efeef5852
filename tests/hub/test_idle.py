"""Idle sessions are stopped, busy ones are not, however silent they are."""

from pathlib import Path

from tests.hub.kernel import Kernel
from tests.platform_fixture import Platform
from tests.site import wait_until

IDLE_SECONDS = 10
# The server extension looks at its kernels each half minute, for idle times of an hour. Read by the
# user's real server from its configuration folder, which the hub has outside the home.
LOOKS_OFTEN = """
from offline_jobs.server_extension import activity
activity.LOOK_SECONDS = 1.0
"""


def test_an_idle_session_is_stopped_and_a_busy_one_goes_on(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "state", options=("--idle-seconds", str(IDLE_SECONDS)))
    with platform.running():
        configuration = platform.state / "scratch" / "ada" / "configuration"
        configuration.mkdir(parents=True)
        (configuration / "jupyter_server_config.py").write_text(LOOKS_OFTEN)
        ada, ben = platform.sign_in("ada"), platform.sign_in("ben")
        ada.start_session({"group": "spatial-lab", "image": "notebook", "class": "small"})
        with Kernel(ada) as kernel:
            assert kernel.execute("print('here')") == "here\n"
            kernel.send("import time; time.sleep(3600)")
        ben.start_session({"image": "notebook", "class": "small"})

        # Ben came later; when he is gone for idleness, ada would be too, were she idle.
        wait_until(lambda: not ben.server(), "the idle session to be stopped", 90)

        assert ada.server()["ready"]
        assert platform.child("jupyterhub.singleuser").environ()["JUPYTERHUB_USER"] == "ada"
