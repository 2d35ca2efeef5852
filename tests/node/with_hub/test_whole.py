"""From nothing, by `make deploy` alone: a platform with a login, databases on a server, a bucket.

What an administrator brings is in `brought.py`. The last file of the ring by its name: it takes the
demonstration away for good, homes excepted, and its last test takes away this platform, too.
Policies are not enforced on the bed (docs/bed.md), so who may not reach something is told by what
the API server has, and no more.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster.driver.charts import JOBS_NAMESPACE, NAMESPACE
from tests.bed.bed import Bed
from tests.bed.claims import build_claim
from tests.bed.client import POD, ApiError, Kind
from tests.bed.hub import images, stand_in
from tests.bed.hub.stand_in import Hub
from tests.bed.installation import HUB_CLAIM, SERVICE_CLAIM, load_deployment
from tests.browser.chromium import PATIENCE_SECONDS
from tests.browser.people import JOBS, Visitor, build_notebook
from tests.hub.oidc import submit_form
from tests.node.pods import Pods
from tests.node.with_hub.administering import ITS_OWN, WITHIN, Administrator
from tests.node.with_hub.brought import BUCKET, MONITORING, PREFIX, Brought, bringing
from tests.node.with_hub.site import PodSite
from tests.site import User
from tests.skips import require

pytestmark = pytest.mark.usefixtures("real")
#: Accounts: a researcher, a student, an administrator who is in no group, and somebody else.
ACCOUNTS = {
    "edith": ["spatial", "choir"],
    "finn": ["course"],
    "root": ["platform-team"],
    "gwen": ["choir", "spatial-lab"],
}
SERVICE = "http://offline-jobs.jupyterhub.svc.cluster.local"
POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy")
Sample = tuple[str, frozenset[tuple[str, str]]]


@dataclass(kw_only=True)
class OpenIDSite(PodSite):
    """Where people sign in at a provider."""

    def open_browser(self) -> httpx.Client:
        """A browser that nobody has used."""
        return httpx.Client(
            base_url=self.url, follow_redirects=True, timeout=30, verify=self.hub.tls
        )

    def visit(self, client: httpx.Client, login: str) -> httpx.Response:
        """Go through the sign-in; the page after it."""
        return submit_form(client, client.get("/hub/oauth_login"), login)

    def sign_in(self, name: str, password: str = "") -> User:
        """Sign in at the provider; fails when refused."""
        client = self.open_browser()
        page = self.visit(client, name)
        assert page.status_code == 200, page.text
        assert str(page.url).startswith(self.url), page.url
        return self.make_user(client, name, self.hub.tls)


@dataclass(frozen=True)
class Work:
    """What somebody has done."""

    visitor: Visitor
    job: dict[str, Any]
    result: dict[str, Any]


@pytest.fixture(scope="module")
def brought(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brought]:
    """Provider, database server and bucket."""
    for each in ("a builder of images", "PostgreSQL", "the object store's server"):
        require(each)
    with bringing(bed, tmp_path_factory.mktemp("whole")) as made:
        for name, groups in ACCOUNTS.items():
            made.provider.set_account(name, preferred_username=name, groups=groups)
        yield made


@pytest.fixture(scope="module")
def administrator(brought: Brought) -> Administrator:
    """Whoever installs it; their machine trusts the authority."""
    trusts = {"SSL_CERT_FILE": str(brought.authority)}
    return Administrator(brought.bed, brought.settings, trusts)


@pytest.fixture(scope="module")
def site(brought: Brought, administrator: Administrator) -> Iterator[OpenIDSite]:
    """The platform, installed where nothing is."""
    bed = brought.bed
    images.load_all(bed, lambda line: None)
    remove_all(bed)
    for each in (NAMESPACE, MONITORING):
        administrator.create("namespace", each)
    for name, content in brought.secrets.items():
        administrator.create_secret(name, content)
    brought.write_settings()

    said = administrator.run("deploy")

    assert said.endswith("All of it answers.\n"), said
    stand_in.start_forward(bed, brought.url, *brought.keys)
    whole = Hub(bed, brought.url, brought.tls)
    whole.wait_until_reached()
    made = OpenIDSite(hub=whole)
    yield made
    made.close_users()
    # Whoever goes on with this bed finds none of it.
    administrator.tools.delete("secret", *brought.secrets, namespace=NAMESPACE)


def remove_all(bed: Bed) -> None:
    """Take away what is there of a platform, with claims, volumes and namespaces."""
    load_deployment(bed)
    before = Administrator(bed, bed.folder / "deployment" / "settings.yaml")
    before.run("undeploy", "--yes")
    before.tools.delete("namespace", NAMESPACE, JOBS_NAMESPACE, MONITORING)
    volumes = [each for each in before.list_ours() if each.startswith("persistentvolume/")]
    if volumes:
        before.tools.delete("pv", *(each.partition("/")[2] for each in volumes))
    assert before.list_ours() == set()


@pytest.fixture(scope="module")
def works(site: OpenIDSite) -> dict[str, Work]:
    """Edith's and Finn's work: a session each, a job each, and what came of it."""
    visitors = {
        "edith": Visitor(site, "edith", "spatial-lab", "large-memory"),
        "finn": Visitor(site, "finn", "teaching", "small"),
    }
    for each in visitors.values():
        asked = {"group": each.group, "image": "notebook", "class": each.instance_class}
        answer = each.user.post_server(asked)
        assert answer.status_code in (201, 202), answer.text
    for each in visitors.values():
        each.user.wait_for_lab(PATIENCE_SECONDS)
    jobs = {
        name: each.submit(build_notebook(f"print('of {name}')"), name=f"by {name}")
        for name, each in visitors.items()
    }
    made = {}
    for name, each in visitors.items():
        job = each.wait_for_state(jobs[name], "succeeded", "failed")
        result = each.user.api.get(f"{JOBS}/{job['id']}/result")
        assert result.status_code == 200, result.text
        made[name] = Work(each, job, result.json())
    return made


def test_a_class_of_another_group_is_refused(site: OpenIDSite) -> None:
    finn = site.sign_in("finn")

    refused = finn.post_form({"group": "teaching", "image": "notebook", "class": "large-memory"})

    assert refused.status_code == 400
    notice = unescape(refused.text.split('role="alert">')[1].split("</p>")[0])
    assert "There is no class" in notice
    assert "Allowed: small, standard." in notice


def test_people_of_different_groups_have_what_their_group_may(
    site: OpenIDSite, works: Mapping[str, Work]
) -> None:
    edith, finn = works["edith"], works["finn"]

    for name, work in works.items():
        user = work.visitor.user.api.get("/hub/api/user").json()
        assert (user["name"], user["groups"], user["admin"]) == (name, [work.visitor.group], False)
        assert work.job["state"] == "succeeded"
        assert work.job["owner"] == name
        (output,) = work.result["cells"][-1]["outputs"]
        assert "".join(output["text"]) == f"of {name}\n"
        (pod,) = site.find_session_pods(name)
        assert pod["metadata"]["labels"]["notebook-hpc/class"] == work.visitor.instance_class
        assert (site.read_files(work.job) / "test.ipynb").exists()

    # One's job is nothing to the other.
    assert finn.visitor.user.api.get(f"{JOBS}/{edith.job['id']}").status_code == 404


def test_the_cookies_of_a_sign_in_go_over_tls_alone(
    site: OpenIDSite, works: Mapping[str, Work]
) -> None:
    cookies = {each.name: each for each in works["edith"].visitor.user.client.cookies.jar}

    for name in ("jupyterhub-hub-login", "jupyterhub-session-id", "_xsrf"):
        assert cookies[name].secure, name


def test_who_is_in_no_group_is_told_so(site: OpenIDSite) -> None:
    with site.open_browser() as browser:
        page = site.visit(browser, "gwen")

    assert page.status_code == 403
    assert "as gwen, and none of your groups there may use this hub" in " ".join(page.text.split())


def test_an_administrator_is_one_by_their_group(
    site: OpenIDSite, works: Mapping[str, Work]
) -> None:
    root = site.sign_in("root")

    assert root.api.get("/hub/api/user").json()["admin"]
    assert root.client.get("/hub/admin").status_code == 200
    assert works["edith"].visitor.user.client.get("/hub/admin").status_code == 403


def test_records_are_in_the_databases_and_results_in_the_bucket(
    site: OpenIDSite, brought: Brought, administrator: Administrator, works: Mapping[str, Work]
) -> None:
    ask = brought.database.execute

    people = {str(name) for (name,) in ask("SELECT name FROM users", database="hub")}
    assert {"edith", "finn"} <= people
    assert "gwen" not in people
    sessions = ask(
        "SELECT u.name FROM users u JOIN spawners s ON s.user_id = u.id"
        " WHERE s.server_id IS NOT NULL",
        database="hub",
    )
    assert sorted(sessions) == [("edith",), ("finn",)]
    jobs = ask('SELECT id, owner, "group", state FROM jobs', database="jobs")
    assert sorted(jobs) == sorted(
        (work.job["id"], name, work.visitor.group, "succeeded") for name, work in works.items()
    )
    # Over TLS, by the password: nobody else may come from there.
    connected = ask(
        "SELECT DISTINCT datname, usename FROM pg_stat_activity a JOIN pg_stat_ssl USING (pid)"
        " WHERE ssl AND client_addr IS NOT NULL"
    )
    assert sorted(connected) == [("hub", "hub"), ("jobs", "jobs")]

    keys = set(brought.objects.list_keys(BUCKET))
    for work in works.values():
        place = f"{PREFIX}/{work.job['id']}/1/"
        assert f"{place}result.ipynb" in keys
        stored = brought.objects.client.get_object(Bucket=BUCKET, Key=f"{place}result.ipynb")
        assert json.loads(stored["Body"].read()) == work.result

    claims = {each["metadata"]["name"] for each in administrator.tools.list("pvc", NAMESPACE)}
    assert claims & {SERVICE_CLAIM, HUB_CLAIM} == set()
    for component in ("hub", "offline-jobs"):
        spec = site.hub.find_pod(component)["spec"]
        assert not [each for each in spec["volumes"] if "persistentVolumeClaim" in each]


def test_who_may_scrape_reads_what_was_done_and_no_other_port_has_it(
    site: OpenIDSite, image: Path, works: Mapping[str, Work]
) -> None:
    pods = Pods(site.client, MONITORING)

    assert pods.run("scraper", "get", "-retry", "30", f"{SERVICE}:8082/metrics")["exitCode"] == 0
    measures = parse_measures(pods.read_log("scraper"))

    assert measures["offline_jobs_database_up", frozenset()] == 1
    for work in works.values():
        charged = {"group": work.visitor.group, "class": work.visitor.instance_class}
        ended = frozenset({**charged, "state": "succeeded", "cause": ""}.items())
        assert measures["offline_jobs_ended_total", ended] == 1
        assert measures["offline_jobs_kept", ended] == 1
        runs = frozenset({**charged, "state": "running"}.items())
        assert measures["offline_jobs_sessions", runs] == 1
        began = frozenset(charged.items())
        assert measures["offline_jobs_waiting_seconds_count", began] == 1
    assert not [name for name, _ in measures if name == "offline_jobs_open"]
    put = frozenset({"operation": "put", "result": "ok"}.items())
    assert measures["offline_jobs_object_store_seconds_count", put] >= 2 * len(works)

    # Neither browsers nor runners find it on their ports.
    page = works["edith"].visitor.user.client.get("/services/offline-jobs/metrics")
    assert page.status_code == 404
    for name, port in (("session", 8081), ("runner", 8080)):
        assert pods.run(name, "get", f"{SERVICE}:{port}/metrics")["exitCode"] == 1
        assert "404" in pods.read_log(name)
    # No policy is enforced here: this is what an engine would be told.
    rules = site.client.get(*POLICY, "offline-jobs", NAMESPACE)["spec"]["ingress"]
    (scraping,) = [rule for rule in rules if {"port": 8082, "protocol": "TCP"} in rule["ports"]]
    monitoring = {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}
    assert scraping == {
        "from": [{"namespaceSelector": monitoring}],
        "ports": [{"port": 8082, "protocol": "TCP"}],
    }
    assert all(rule["ports"] for rule in rules)


def parse_measures(text: str) -> dict[Sample, float]:
    """Values by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_secrets_are_in_secrets_alone(
    brought: Brought, administrator: Administrator, works: Mapping[str, Work]
) -> None:
    del works
    tools, client = administrator.tools, brought.bed.client
    kinds = "pods,deployments,replicasets,configmaps,events,services,jobs.batch.volcano.sh"
    told, kept = [], []
    for namespace in (NAMESPACE, JOBS_NAMESPACE):
        told.append(json.dumps(tools.list(kinds, namespace), ensure_ascii=False))
        for secret in tools.list("secrets", namespace):
            kept += [b64decode(each).decode() for each in secret["data"].values()]
        for pod in client.list(*POD, namespace):
            for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
                try:
                    log = client.read_log(namespace, pod["metadata"]["name"], container["name"])
                except ApiError as gone:
                    # A job's pod goes a minute or two after its end.
                    if gone.status != HTTPStatus.NOT_FOUND:
                        raise
                else:
                    told.append(log)

    for what, text in brought.secret_texts.items():
        assert any(text in each for each in kept), what
        assert not any(text in each for each in told), what


def test_nothing_is_left_but_homes_and_what_the_administrator_brought(
    site: OpenIDSite, brought: Brought, administrator: Administrator, works: Mapping[str, Work]
) -> None:
    assert "WRONG" not in administrator.run("status")
    # As where a first installation named a class of storage that does not exist.
    unbound = build_claim("unbound", JOBS_NAMESPACE, mode="ReadWriteOnce")
    del unbound["spec"]["volumeName"]
    administrator.tools.apply([unbound])

    said = administrator.run("undeploy", "--yes")

    homes = {f"persistentvolumeclaim/{name}" for name in ("homes", "shared")}
    secrets = {f"secret/{name}" for name in brought.secrets}
    # No claim `offline-jobs`: records and results are where they were put.
    assert administrator.list_objects(WITHIN, NAMESPACE) == homes | secrets | ITS_OWN
    others = ITS_OWN | {"persistentvolumeclaim/unbound"}
    assert administrator.list_objects(WITHIN, JOBS_NAMESPACE) == homes | others
    assert administrator.list_ours() == {
        f"persistentvolume/{namespace}-{claim}"
        for namespace in (NAMESPACE, JOBS_NAMESPACE)
        for claim in ("homes", "shared")
    }
    left = [line for line in said.splitlines() if line.startswith("Left: ")]
    assert len(left) == 2 * len(homes) + 1, said
    assert "Left: unbound in offline-jobs; it never had a volume, so there are no files" in left
    administrator.tools.delete("pvc", "unbound", namespace=JOBS_NAMESPACE)
    for work in works.values():
        assert (site.read_files(work.job) / "test.ipynb").exists()
    assert brought.database.execute("SELECT count(*) FROM jobs", database="jobs") == [(2,)]
    assert brought.objects.list_keys(BUCKET)
