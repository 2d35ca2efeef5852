"""The commands that make a cluster, in their order, for the plan to print and the steps to run.

Pure.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.aws.eksctl import CLUSTER_TAG, CORE, NAMESPACE
from cluster.aws.endpoints import ROUTE_TABLES, build_route_tables_query, name_endpoints
from cluster.aws.gpus import build_gpu_objects, list_unshared
from cluster.aws.load_balancer import CHART, REPOSITORY
from cluster.aws.observe import FLUENT_BIT, GRAFANA, PROMETHEUS, build_objects, build_observe_stack
from cluster.aws.observe import name_stack as name_observe
from cluster.aws.storage import build_storage_stack
from cluster.driver.aws_observe import MONITORING, Observe
from cluster.driver.aws_settings import Aws
from cluster.driver.settings import Settings
from cluster.driver.tools import MANAGER
from cluster.driver.versions import read_versions
from cluster.driver.volumes import name_stack as name_storage
from hub_config.platform.catalogue import Catalogue

#: What is written, by what the commands call it, in the order of the steps.
PLACES = {
    "cluster": "10-eksctl/cluster.yaml",
    "endpoints": "10-eksctl/endpoints.yaml",
    "addons": "10-eksctl/addons.yaml",
    "stack": "20-karpenter/stack.yaml",
    "shipped": "20-karpenter/values/1-karpenter.yaml",
    "ours": "20-karpenter/values/2-karpenter.ours.yaml",
    "classes": "20-karpenter/node-classes.yaml",
    "pools": "20-karpenter/node-pools.yaml",
    "gpus": "20-karpenter/gpus.yaml",
    "balancer": "30-load-balancer/values/1-load-balancer.yaml",
    "balancer-ours": "30-load-balancer/values/2-load-balancer.ours.yaml",
    "names": "30-load-balancer/names.yaml",
    "storage": "40-storage/storage-class.yaml",
    "files": "40-storage/stack.yaml",
    "root": "50-platform/root-queue.yaml",
    "observe": "60-observe/stack.yaml",
    "monitoring": "60-observe/objects.yaml",
    "prometheus": "60-observe/values/1-prometheus.yaml",
    "alarms": "60-observe/values/2-alarms.yaml",
    "prometheus-ours": "60-observe/values/3-prometheus.ours.yaml",
    "grafana": "60-observe/values/1-grafana.yaml",
    "logs": "60-observe/values/1-fluent-bit.yaml",
    "logs-ours": "60-observe/values/2-fluent-bit.ours.yaml",
}
#: The administrator's way into the cluster, below the plan's folder.
KUBECONFIG = "kubeconfig"
_INSTALL = ("helm", "upgrade", "--install")
_APPLY = (
    *("kubectl", "apply", "--server-side"),
    *(f"--field-manager={MANAGER}", "--force-conflicts"),
)
_CHARTS = "oci://public.ecr.aws/karpenter"


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        step: it is of.
        words: program and arguments.
        minutes: it may take.
        unless: a command that only looks; where it succeeds, this one has nothing to do.
        query: a command that only looks, whose answer is the end of the last word.
    """

    step: str
    words: tuple[str, ...]
    minutes: float
    unless: tuple[str, ...] = ()
    query: tuple[str, ...] = ()

    def __str__(self) -> str:
        line = shlex.join(self.words)
        if self.query:
            line += f'"$({shlex.join(self.query)})"'
        return f"{shlex.join(self.unless)} >/dev/null 2>&1 || {line}" if self.unless else line


def list_commands(settings: Settings, aws: Aws, target: Path) -> Mapping[str, Command]:
    """Commands by name, in their order.

    Args:
        settings: of the installation.
        aws: the cluster in them.
        target: the plan's folder.
    """
    access = ("--kubeconfig", str(target / KUBECONFIG))
    return {
        **_list_cluster(settings, aws, target, access),
        **_list_machines(settings.catalogue, target, access),
        **_list_rest(settings, aws, target, access),
        **_list_watching(aws, target, access),
    }


def list_upgrades(aws: Aws, target: Path) -> Mapping[str, Command]:
    """Commands by name that bring Kubernetes to the settings' version, in their order.

    The first is given no file: with one, eksctl would look for other changes, too. It would go back
    as well as up, so whoever runs it has compared versions before.
    Source: pkg/actions/cluster/upgrade.go and pkg/ctl/upgrade of eksctl v0.230.0
    """
    where = ("--region", aws.region)
    plane: tuple[str, ...] = ("eksctl", "upgrade", "cluster", "--name", aws.cluster, *where)
    plane += ("--version", aws.kubernetes, "--approve")
    addons = ("eksctl", "update", "addon", "--config-file", str(target / PLACES["addons"]))
    core: tuple[str, ...] = ("eksctl", "upgrade", "nodegroup", "--cluster", aws.cluster, *where)
    core += ("--name", CORE, "--kubernetes-version", aws.kubernetes, "--timeout", "90m")
    return {
        # eksctl itself waits for 65 minutes.
        "control-plane": Command("control-plane", plane, 75),
        "addons": Command("addons", addons, 60),
        "core": Command("core", core, 95),
    }


def _list_cluster(
    settings: Settings, aws: Aws, target: Path, access: tuple[str, ...]
) -> dict[str, Command]:
    """Of step ``10-eksctl``."""
    step = "10-eksctl"
    stack: tuple[str, ...] = build_deploy(aws, name_stack(aws), target / PLACES["stack"])
    stack += ("--capabilities", "CAPABILITY_NAMED_IAM")
    stack += ("--parameter-overrides", f"ClusterName={aws.cluster}")
    commands = {"stack": Command(step, stack, 20)}
    if any("spot" in pool.capacity_types for pool in settings.catalogue.node_pools.values()):
        # An account has this role once, and a second is refused. Source:
        # https://karpenter.sh/docs/troubleshooting/#missing-service-linked-role (v1.14)
        commands["spot"] = Command(
            step,
            (
                "aws",
                "iam",
                "create-service-linked-role",
                "--aws-service-name",
                "spot.amazonaws.com",
            ),
            2,
            ("aws", "iam", "get-role", "--role-name", "AWSServiceRoleForEC2Spot"),
        )
    config = str(target / PLACES["cluster"])
    own = ("eksctl", "create", "cluster", "--config-file", config, "--write-kubeconfig=false")
    kubeconfig = ("aws", "eks", "update-kubeconfig", "--region", aws.region)
    endpoints = build_deploy(aws, name_endpoints(aws.cluster), target / PLACES["endpoints"])
    endpoints += ("--parameter-overrides", f"{ROUTE_TABLES}=")
    tables = ("aws", *build_route_tables_query(aws))
    return commands | {
        "cluster": Command(step, own, 60),
        "access": Command(step, (*kubeconfig, "--name", aws.cluster, *access), 2),
        "endpoints": Command(step, endpoints, 20, query=tables),
    }


def _list_machines(
    catalogue: Catalogue, target: Path, access: tuple[str, ...]
) -> dict[str, Command]:
    """Of step ``20-karpenter``."""
    step = "20-karpenter"
    release: tuple[str, ...] = (
        "--version",
        read_versions()["KARPENTER_VERSION"],
        "--namespace",
        NAMESPACE,
    )
    release += ("--wait", *access)
    values = _take(target, "--values", "shipped", "ours")
    ready = ("kubectl", "wait", "nodepools", "--all", "--for=condition=Ready", "--timeout=300s")
    charts = {
        "karpenter-crd": (*release,),
        "karpenter": (*release, *values),
    }
    commands = {
        name: Command(step, (*_INSTALL, name, f"{_CHARTS}/{name}", *words), 10)
        for name, words in charts.items()
    }
    files = ("classes", "pools", *(["gpus"] if build_gpu_objects(catalogue) else []))
    words = (*_APPLY, *access, *_take(target, "-f", *files))
    commands["machines"] = Command(step, words, 2)
    if whole := list_unshared(catalogue):
        # Karpenter would go on to count shares of GPUs that nobody shares any more.
        words = ("kubectl", "delete", "nodeoverlays.karpenter.sh", *whole, "--ignore-not-found")
        commands["whole-gpus"] = Command(step, (*words, *access), 2)
    return commands | {"ready": Command(step, (*ready, *access), 6)}


def _list_rest(
    settings: Settings, aws: Aws, target: Path, access: tuple[str, ...]
) -> dict[str, Command]:
    """Of the load balancer's and the storage's steps."""
    version = read_versions()["LOAD_BALANCER_CHART_VERSION"]
    balancer: tuple[str, ...] = (
        *_INSTALL,
        CHART,
        CHART,
        "--repo",
        REPOSITORY,
        "--version",
        version,
    )
    balancer += ("--namespace", NAMESPACE, "--wait", *access)
    commands = {
        "balancer": Command(
            "30-load-balancer",
            (*balancer, *_take(target, "--values", "balancer", "balancer-ours")),
            10,
        ),
        "storage": Command("40-storage", (*_APPLY, *access, *_take(target, "-f", "storage")), 2),
    }
    if build_storage_stack(settings, aws):
        files = build_deploy(aws, name_storage(aws.cluster), target / PLACES["files"])
        commands["files"] = Command("40-storage", (*files, "--capabilities", "CAPABILITY_IAM"), 60)
    return commands


def _list_watching(aws: Aws, target: Path, access: tuple[str, ...]) -> dict[str, Command]:
    """Of step ``60-observe``; of what is not asked for there is none."""
    step, versions, observe = "60-observe", read_versions(), aws.observe or Observe()

    def install(chart: tuple[str, str], pin: str, *places: str) -> Command:
        name, repository = chart
        words: tuple[str, ...] = (*_INSTALL, name, name)
        words += ("--repo", repository, "--version", versions[pin])
        words += ("--namespace", MONITORING, "--wait", *access)
        return Command(step, (*words, *_take(target, "--values", *places)), 10)

    commands = {}
    if build_observe_stack(aws):
        stack = build_deploy(aws, name_observe(aws.cluster), target / PLACES["observe"])
        commands["observe"] = Command(step, (*stack, "--capabilities", "CAPABILITY_IAM"), 20)
    if build_objects(aws):
        words = (*_APPLY, *access, *_take(target, "-f", "monitoring"))
        commands["monitoring"] = Command(step, words, 2)
    if observe.metrics:
        values = ("prometheus", "alarms", "prometheus-ours")
        commands["prometheus"] = install(PROMETHEUS, "PROMETHEUS_CHART_VERSION", *values)
    if observe.dashboards:
        commands["grafana"] = install(GRAFANA, "GRAFANA_CHART_VERSION", "grafana")
    if observe.log_days:
        commands["logs"] = install(FLUENT_BIT, "FLUENT_BIT_CHART_VERSION", "logs", "logs-ours")
    return commands


def build_deploy(aws: Aws, stack: str, template: Path) -> tuple[str, ...]:
    """Command that makes or changes a stack; what is right already is no mistake."""
    words = ("aws", "cloudformation", "deploy", "--region", aws.region, "--stack-name", stack)
    # What stays when the stack goes has its tags, and is found by ours (removal.py).
    tags = {**aws.tags, CLUSTER_TAG: aws.cluster}
    more = ("--tags", *(f"{key}={value}" for key, value in tags.items()))
    return (*words, "--no-fail-on-empty-changeset", *more, "--template-file", str(template))


def _take(target: Path, option: str, *names: str) -> list[str]:
    return [word for name in names for word in (option, str(target / PLACES[name]))]


def name_stack(aws: Aws) -> str:
    """Of Karpenter's CloudFormation stack."""
    return f"Karpenter-{aws.cluster}"
