"""`make smoke` on real nodes: what a session and a job of a class find out about their pods."""

from __future__ import annotations

import pytest

from cluster.smoke.__main__ import TOKEN, main
from tests.browser.people import Visitor
from tests.node.with_hub.site import PodSite


@pytest.mark.usefixtures("real")
def test_a_class_works_and_its_pods_reach_nobody(
    site: PodSite,
    ada: Visitor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada.user.stop_session()
    monkeypatch.setenv(TOKEN, str(ada.user.api.headers["Authorization"]).split()[1])

    code = main(["--url", site.url, "--classes", "small"])

    said = capsys.readouterr().out
    assert code == 0, said
    for part in ("session", "job"):
        sentence = "metadata, Kubernetes and other pods are out of reach"
        assert f"ok     network of {part} on small: {sentence}" in said, said
