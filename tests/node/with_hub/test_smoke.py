"""`make smoke` on real nodes: what a session and a job of a class find out where they run."""

from __future__ import annotations

import re

import pytest

from cluster.smoke.__main__ import TOKEN, main
from tests.browser.people import Visitor
from tests.node.with_hub.site import PodSite

#: The bed's nodes know no network policies, and that is to be found out.
WRONG = [
    "network of session on small: Kubernetes' API can be reached",
    "network of job on small: Kubernetes' API can be reached",
    "network of job on small: another pod can be reached (ADDRESS:8888)",
]


@pytest.mark.usefixtures("real")
def test_a_class_works_and_where_pods_reach_others_it_is_found_out(
    site: PodSite,
    ada: Visitor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada.user.stop_session()
    monkeypatch.setenv(TOKEN, str(ada.user.api.headers["Authorization"]).split()[1])

    assert main(["--url", site.url, "--classes", "small"]) == 1

    said = capsys.readouterr().out
    findings = re.findall(r"^(ok|WRONG) +(.*)$", said, re.MULTILINE)
    wrong = [re.sub(r"10(\.[0-9]+){3}", "ADDRESS", line) for word, line in findings if word != "ok"]
    assert wrong == [f"{each}: the network policies do not hold" for each in WRONG], said
    right = [line.partition(":")[0] for word, line in findings if word == "ok"]
    assert right == [
        "sign-in",
        *("session on small", "cell of session on small"),
        *("job on small", "cell of job on small"),
    ]
