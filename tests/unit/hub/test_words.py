"""Words that both sides of a wall must spell alike, since neither may import the other."""

from hub_config.access import JOBS_SERVICE
from hub_config.platform.workspace import LONGEST_SESSION
from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.server_extension.activity import ENV_LONGEST_SESSION


def test_hub_and_jobs_service_mean_the_same() -> None:
    assert f"/services/{JOBS_SERVICE}/" == SERVICE_PREFIX
    assert LONGEST_SESSION == ENV_LONGEST_SESSION
