"""What watches a cluster: values of its charts, its queries, its stack's rights.

Queries are parsed as Prometheus does and held against what the programs expose: ours by the list
that `tests/service/web/test_measures.py` holds equal to a real scrape, the hub's by the hub's own
module. Those of others are listed here, with where they were read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from jupyterhub import metrics as hub_metrics
from prometheus_client.metrics import MetricWrapperBase

from cluster.aws.dashboards import build_dashboard, list_queries, read_dashboards
from cluster.aws.observe import (
    TOKEN_SECRET,
    build_logs_values,
    build_objects,
    build_observe_stack,
    build_prometheus_values,
    build_token,
)
from cluster.driver.aws_observe import SCRAPER, Budget, Metrics, Observe
from cluster.driver.aws_settings import Aws
from cluster.driver.charts import build_hub_values, build_service_values
from cluster.driver.versions import FOLDER
from hub_config.platform.catalogue import Price
from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import Cause, Reason, State
from tests.factories import make_catalogue, make_class
from tests.unit.cluster_aws.accounts import CHINA, make_aws, make_storing

ROOT = Path(__file__).parents[3]
ALARMS = ROOT / "cluster/aws/60-observe/alarms.yaml"
WHOLE = Observe(("ada@example.org",), Metrics(), True, 30, Budget(3000, "cost-center"))
#: Metric -> labels, of programs that are no Python.
OTHERS = {
    # Prometheus itself: https://prometheus.io/docs/concepts/jobs_instances and
    # https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules (ALERTS)
    "up": {*()},
    "ALERTS": {"alertname", "alertstate", "severity"},
    # cluster/aws/observe.py, from the catalogue's prices.
    "notebook_hpc_price_per_hour": {"class"},
    # sigs.k8s.io/karpenter v1.14.1, pkg/metrics/metrics.go and pkg/controllers/metrics/nodepool
    "karpenter_nodepools_usage": {"nodepool", "resource_type"},
    "karpenter_nodepools_limit": {"nodepool", "resource_type"},
    "karpenter_nodepools_cost_total": {"nodepool"},
    "karpenter_nodeclaims_created_total": {"reason", "nodepool", "min_values_relaxed"},
    "karpenter_nodeclaims_disrupted_total": {"reason", "nodepool", "capacity_type"},
    # github.com/aws/karpenter-provider-aws v1.14.1, pkg/providers/instance/metrics.go
    "karpenter_cloudprovider_instance_launch_failures_total": {
        *("zone", "zone_id", "capacity_type", "reason")
    },
    # volcano.sh/volcano v1.15.1, queue.go of pkg/scheduler/metrics and pkg/controllers/metrics
    "volcano_queue_allocated_milli_cpu": {"queue_name"},
    "volcano_queue_allocated_memory_bytes": {"queue_name"},
    "volcano_queue_capacity_milli_cpu": {"queue_name"},
    "volcano_queue_pod_group_pending_count": {"queue_name"},
    "volcano_queue_pod_group_inqueue_count": {"queue_name"},
    # k8s.io/kubernetes v1.35, pkg/kubelet/metrics/collectors/volume_stats.go
    "kubelet_volume_stats_available_bytes": {"namespace", "persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"namespace", "persistentvolumeclaim"},
}
#: What a label of the jobs service's may say; of HTTP, statuses are numbers.
WORDS: dict[str, set[str]] = {
    "state": {*State, *SessionState},
    "reason": {*Reason},
    "cause": {*Cause},
}


@dataclass(frozen=True)
class Selected:
    """A metric in a query, with what its labels have to be."""

    name: str
    matchers: Mapping[str, str]


def list_ours() -> Iterator[tuple[str, set[str]]]:
    text = (ROOT / "docs/metrics.md").read_text()
    for name, kind, labels in re.findall(
        r"^\| `(offline_jobs_\w+)` \| (\w+) \|(.*?)\|", text, re.M
    ):
        yield from list_samples(name, kind, {*filter(None, labels.strip().split(", "))})


def list_hubs() -> Iterator[tuple[str, set[str]]]:
    for each in vars(hub_metrics).values():
        if isinstance(each, MetricWrapperBase):
            yield from list_samples(each._name, str(each._type), {*each._labelnames})


def list_samples(name: str, kind: str, labels: set[str]) -> Iterator[tuple[str, set[str]]]:
    if kind == "histogram":
        yield f"{name}_bucket", labels | {"le"}
        yield f"{name}_count", labels
        yield f"{name}_sum", labels
    else:
        yield name, labels


KNOWN = {**OTHERS, **dict(list_ours()), **dict(list_hubs())}


def read_alarms() -> list[dict[str, Any]]:
    files = yaml.safe_load(ALARMS.read_text())["serverFiles"]
    (group,) = files["alerting_rules.yml"]["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def take_apart(query: str) -> tuple[list[Selected], set[str]]:
    """Metrics of a query, and labels by which it sums up."""
    selected: list[Selected] = []
    labels: set[str] = set()

    def visit(expression: promql_parser.Expr) -> None:
        if isinstance(expression, promql_parser.MatrixSelector):
            expression = expression.vector_selector
        if isinstance(expression, promql_parser.VectorSelector):
            found = {each.name: each.value for each in expression.matchers.matchers}
            selected.append(Selected(expression.name or "", found))
        if isinstance(expression, promql_parser.AggregateExpr) and expression.modifier:
            labels.update(expression.modifier.labels)

    promql_parser.walk(promql_parser.parse(query), visit)
    return selected, labels


def find_faults(query: str) -> list[str]:
    """What no program exposes, of all that a query asks for."""
    selected, labels = take_apart(query)
    faults = [] if selected else ["no metric"]
    for each in selected:
        if each.name not in KNOWN:
            faults.append(f"no metric {each.name}")
            continue
        own = KNOWN[each.name] | {"job", "instance"}
        faults += [f"{each.name} has no {label}" for label in each.matchers.keys() - own]
        words = WORDS if each.name.startswith("offline_jobs_") else {}
        faults += [
            f"{label} is never {one}"
            for label in words.keys() & each.matchers.keys()
            for one in each.matchers[label].split("|")
            if one not in words[label]
        ]
        faults += [f"{each.name} has no {label}" for label in labels - own if len(selected) == 1]
    known = {"job", "instance"}.union(*(KNOWN.get(each.name, set()) for each in selected))
    return faults + [f"nothing has {label}" for label in labels - known]


QUERIES = [
    *list_queries(read_dashboards()),
    *((each["alert"], each["expr"]) for each in read_alarms()),
]


@pytest.mark.parametrize(("place", "query"), QUERIES, ids=[place for place, _ in QUERIES])
def test_a_query_asks_for_what_a_program_exposes(place: str, query: str) -> None:
    assert find_faults(query) == []


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("sum by (state) (offline_jobs_opened)", "no metric offline_jobs_opened"),
        ("sum by (reason) (offline_jobs_sessions)", "offline_jobs_sessions has no reason"),
        ('offline_jobs_open{stat="running"}', "offline_jobs_open has no stat"),
        ('offline_jobs_open{reason=~"no-node|nowhere"}', "reason is never nowhere"),
        ('rate(offline_jobs_waiting_seconds{group="a"}[5m])', "no metric offline_jobs_waiting_s"),
        ("1 + 1", "no metric"),
    ],
)
def test_a_mistake_in_a_query_would_be_found(query: str, fault: str) -> None:
    assert any(each.startswith(fault) for each in find_faults(query))


@pytest.mark.parametrize("written", read_dashboards(), ids=lambda each: str(each["name"]))
def test_a_dashboard_shows_all_its_panels_beside_one_another(written: dict[str, Any]) -> None:
    panels = build_dashboard(written)["panels"]

    assert [each["title"] for each in panels] == [each["title"] for each in written["panels"]]
    taken: set[tuple[int, int]] = set()
    for each in panels:
        place = each["gridPos"]
        fields = {
            (column, row)
            for column in range(place["x"], place["x"] + place["w"])
            for row in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & fields
        assert place["x"] + place["w"] <= 24
        taken |= fields
    for panel in panels:
        for target in panel["targets"]:
            _, labels = take_apart(target["expr"])
            assert {*re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])} <= labels


def test_dashboards_cover_what_was_asked_for_and_have_different_names() -> None:
    names = [each["name"] for each in read_dashboards()]

    assert names == ["sessions", "waiting", "queues", "machines", "errors"]
    (_, config) = build_objects(make_aws(observe=WHOLE))
    assert config["metadata"]["name"] == "dashboards"
    shown = {name: json.loads(text)["uid"] for name, text in config["data"].items()}
    assert shown == {f"{each}.json": f"notebook-hpc-{each}" for each in names}


def test_each_alarm_says_what_is_wrong_and_what_to_do() -> None:
    alarms = read_alarms()

    assert len({each["alert"] for each in alarms}) == len(alarms)
    for each in alarms:
        assert each["labels"]["severity"] in ("critical", "warning")
        assert each["annotations"].keys() == {"summary", "runbook"}
        assert len(each["annotations"]["runbook"]) > 30
        # What a sentence names has to be in what the alarm is about.
        _, labels = take_apart(each["expr"])
        said = " ".join(each["annotations"].values())
        assert {*re.findall(r"\$labels\.(\w+)", said)} <= labels


def test_each_program_that_an_alarm_or_a_dashboard_names_is_scraped() -> None:
    values = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    jobs = {name for name, each in values["scrapeConfigs"].items() if each.get("enabled", True)}

    named = {
        each.matchers["job"]
        for _, query in QUERIES
        for each in take_apart(query)[0]
        if "job" in each.matchers
    }
    assert named <= jobs
    assert len(named) == 4
    kept = values["scrapeConfigs"]["kubelets"]["metric_relabel_configs"][0]["regex"]
    asked = {each.name for _, query in QUERIES for each in take_apart(query)[0]}
    assert {each for each in asked if each.startswith("kubelet_")} <= {
        each for each in KNOWN if re.fullmatch(kept, each)
    }
    dropped = values["scrapeConfigs"]["karpenter"]["metric_relabel_configs"][0]["regex"]
    assert not [each for each in asked if re.fullmatch(dropped, each)]


def test_prometheus_forgets_before_its_disk_is_full_and_knows_prices() -> None:
    price = Price(0.125, "USD", "2026-11-01")
    classes = (make_class("small", price=price), make_class("free", price=None, default=False))
    catalogue = make_catalogue(classes=classes)

    values = build_prometheus_values(make_aws(observe=Observe(metrics=Metrics(7, 100))), catalogue)

    assert values["server"] == {
        "persistentVolume": {"size": "100Gi", "storageClass": "gp3"},
        "retention": "7d",
        "retentionSize": "87040MB",
    }
    (group,) = values["serverFiles"]["recording_rules.yml"]["groups"]
    assert group["rules"] == [
        {
            "record": "notebook_hpc_price_per_hour",
            "expr": "vector(0.125)",
            "labels": {"class": "small"},
        }
    ]
    # Nobody is to be told, so nothing sends.
    assert "alertmanager" not in values


def test_alarms_go_to_the_topic_and_nowhere_else() -> None:
    values = build_prometheus_values(make_aws(observe=WHOLE), make_catalogue())

    assert values["alertmanager"]["enabled"]
    (receiver,) = values["alertmanager"]["config"]["receivers"]
    (topic,) = receiver["sns_configs"]
    assert topic["topic_arn"] == "arn:aws:sns:eu-central-1:111122223333:lab-alarms"
    resources = build_observe_stack(make_aws(observe=WHOLE))["Resources"]
    assert resources["Alarms"]["Properties"]["TopicName"] == "lab-alarms"
    (policy,) = resources["Rolealertmanager"]["Properties"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["sns:Publish"]
    assert statement["Resource"] == [topic["topic_arn"]]


def test_accounts_of_charts_are_those_that_have_rights() -> None:
    resources = build_observe_stack(make_aws(observe=WHOLE))["Resources"]
    associated = {
        (each["Properties"]["Namespace"], each["Properties"]["ServiceAccount"])
        for each in resources.values()
        if each["Type"] == "AWS::EKS::PodIdentityAssociation"
    }
    prometheus, fluent_bit = (
        yaml.safe_load((FOLDER / f"{each}.yaml").read_text())
        for each in ("prometheus", "fluent-bit")
    )

    assert associated == {
        ("monitoring", prometheus["alertmanager"]["serviceAccount"]["name"]),
        ("monitoring", fluent_bit["serviceAccount"]["name"]),
    }


def test_logs_go_to_a_group_that_is_there_and_people_s_own_do_not() -> None:
    aws = make_aws(observe=WHOLE)

    group = build_observe_stack(aws)["Resources"]["Logs"]["Properties"]
    assert group == {"LogGroupName": "/notebook-hpc/lab", "RetentionInDays": 30}
    sent = build_logs_values(aws)["cloudWatchLogs"]
    assert sent == {"region": "eu-central-1", "logGroupName": "/notebook-hpc/lab"}
    shipped = yaml.safe_load((FOLDER / "fluent-bit.yaml").read_text())
    left_out = shipped["input"]["extraInputs"].removeprefix("Exclude_Path ").split(",")
    # A file of logs is called POD_NAMESPACE_CONTAINER-ID.log.
    for name, is_shipped in (
        ("jupyter-ada_jupyterhub_notebook-0a", False),
        ("job-1-task-0_offline-jobs_runner-0a", False),
        ("hub-5d_jupyterhub_hub-0a", True),
        ("offline-jobs-7c_jupyterhub_offline-jobs-0a", True),
    ):
        path = f"/var/log/containers/{name}.log"
        assert any(fnmatch(path, each) for each in left_out) is not is_shipped


@pytest.mark.parametrize(
    ("aws", "currency"), [(make_aws(), "USD"), (CHINA, "CNY")], ids=["aws", "aws-cn"]
)
def test_a_budget_counts_what_has_the_tag_and_tells_everybody_named(
    aws: Aws, currency: str
) -> None:
    mails = ("ada@example.org", "bob@example.org")
    said = Observe(mails, budget=Budget(500, "cost-center"))

    resources = build_observe_stack(replace(aws, observe=said))["Resources"]

    assert resources.keys() == {"Budget"}
    properties = resources["Budget"]["Properties"]
    assert properties["Budget"]["BudgetLimit"] == {"Amount": 500, "Unit": currency}
    assert properties["Budget"]["CostFilters"] == {"TagKeyValue": ["user:cost-center$4711"]}
    told = [
        (each["Notification"]["NotificationType"], each["Notification"]["Threshold"])
        for each in properties["NotificationsWithSubscribers"]
    ]
    assert told == [("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]
    for each in properties["NotificationsWithSubscribers"]:
        assert [one["Address"] for one in each["Subscribers"]] == [*mails]


def test_what_is_not_asked_for_is_not_made() -> None:
    aws = make_aws()

    assert build_observe_stack(aws) == {}
    assert build_objects(aws) == []
    assert build_prometheus_values(aws, make_catalogue()) == {}
    assert build_logs_values(aws) == {}
    (namespace,) = build_objects(make_aws(observe=Observe(log_days=7)))
    assert namespace["kind"] == "Namespace"


def test_hub_and_jobs_service_let_prometheus_in_where_there_is_one() -> None:
    shipped = yaml.safe_load((FOLDER / "jupyterhub.yaml").read_text())
    without = make_storing(make_aws())
    settings = make_storing(make_aws(observe=WHOLE))

    hub = build_hub_values(settings, shipped)["hub"]
    assert hub["services"] == {"prometheus": {}}
    assert hub["networkPolicy"]["ingress"][0]["from"] == [SCRAPER]
    assert build_service_values(settings)["metrics"] == {"from": [SCRAPER]}
    assert "services" not in build_hub_values(without, shipped)["hub"]
    assert "metrics" not in build_service_values(without)


def test_the_hubs_token_is_copied_and_nothing_else_of_its_secret() -> None:
    hub = {"data": {"hub.services.prometheus.apiToken": "dG9rZW4=", "values.yaml": "eA=="}}

    copied = build_token(hub)

    assert copied is not None
    assert copied["data"] == {"token": "dG9rZW4="}
    values = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    (mount,) = values["server"]["extraSecretMounts"]
    assert mount["secretName"] == copied["metadata"]["name"] == TOKEN_SECRET
    used = values["scrapeConfigs"]["hub"]["authorization"]["credentials_file"]
    assert used == f"{mount['mountPath']}/token"
    assert build_token({"data": {"values.yaml": "eA=="}}) is None
