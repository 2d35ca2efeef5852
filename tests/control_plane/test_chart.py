"""What the jobs service's chart makes of its values; admission, rights and network: beside it."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tests.bed.bed import Bed
from tests.bed.client import Object
from tests.control_plane.chart import find, render

KEY = "run-token-key"


def get_signing_secret(chart: list[Object]) -> str:
    """Name of the Secret whose key the service signs with."""
    (secrets,) = [
        each["projected"]["sources"]
        for each in find(chart, "Deployment")["spec"]["template"]["spec"]["volumes"]
        if "projected" in each
    ]
    (name,) = [
        each["secret"]["name"]
        for each in secrets
        if KEY in [item["key"] for item in each["secret"]["items"]]
    ]
    return str(name)


def test_the_chart_makes_the_key_that_signs_runs(bed: Bed) -> None:
    chart = render(bed, "jobs-here")
    secret = find(chart, "Secret")

    assert get_signing_secret(chart) == secret["metadata"]["name"]
    assert secret["data"][KEY]


def test_a_secret_that_is_there_is_used_and_nothing_rendered_changes(bed: Bed) -> None:
    """Whoever only renders the chart would else bring another key each time."""
    values = {"existingSecret": "ours"}
    chart = render(bed, "jobs-here", values)

    assert get_signing_secret(chart) == "ours"
    assert "Secret" not in {each["kind"] for each in chart}
    assert render(bed, "jobs-here", values) == chart


def test_a_start_may_take_ten_minutes(bed: Bed) -> None:
    """A large database is brought to its newest form before anything answers."""
    (container,) = find(render(bed, "jobs-here"), "Deployment")["spec"]["template"]["spec"][
        "containers"
    ]
    probe: dict[str, Any] = container["startupProbe"]

    assert probe["httpGet"] == container["livenessProbe"]["httpGet"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 600


@pytest.mark.parametrize("address", ["", "/", "http://hub.example/"])
def test_without_tls_it_is_a_demonstration_or_not_installed(bed: Bed, address: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render(bed, "jobs-here", {"hub.publicUrl": address})
    assert "hub.publicUrl" in refused.value.stderr
    assert "https://HOST/" in refused.value.stderr
    assert render(bed, "jobs-here", {"hub.publicUrl": address, "demonstration": True})
