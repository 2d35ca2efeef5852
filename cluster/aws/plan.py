"""What would be made on AWS: written to a folder in the order of the steps, and told.

Nothing is made, and no account is asked. :func:`build_files` is pure; :func:`make_plan` writes what
it returns, with Karpenter's file and the values of the platform's charts.
"""

import json
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from cluster.aws.costs import Cost, find_short_quotas, reckon_full, reckon_idle
from cluster.aws.eksctl import build_addon_upgrade, build_cluster_config
from cluster.aws.endpoints import build_endpoints_stack
from cluster.aws.gpus import build_gpu_objects
from cluster.aws.karpenter import build_karpenter_values, build_node_classes, build_pools
from cluster.aws.load_balancer import (
    BALANCER,
    BALANCER_ZONE,
    build_load_balancer_values,
    build_names_stack,
    has_names,
    list_names,
    name_names,
)
from cluster.aws.observe import (
    build_dashboards,
    build_logs_values,
    build_objects,
    build_observe_stack,
    build_prometheus_values,
)
from cluster.aws.order import PLACES, build_deploy, list_commands
from cluster.aws.prices import read_prices
from cluster.aws.stack import StackAway, fetch_stack
from cluster.aws.storage import build_storage_class, build_storage_stack
from cluster.driver.aws_observe import Observe
from cluster.driver.aws_settings import Aws
from cluster.driver.charts import NAMESPACE as HUB_NAMESPACE
from cluster.driver.deployment import STEPS, Deployment
from cluster.driver.instance_types import load_types
from cluster.driver.limits import find_notes
from cluster.driver.queues import build_root_queue
from cluster.driver.settings import Settings
from cluster.driver.tools import Tools
from cluster.driver.versions import FOLDER, read_versions

Say = Callable[[str], None]

#: Prometheus' alarms, as values of its chart.
ALARMS = Path(__file__).parent / "60-observe" / "alarms.yaml"
#: Names the files of a plan, a line each, so that the next one takes away these and no others.
_LIST = ".plan"


class PlanFailed(Exception):
    """The plan cannot be written where it should be; the message says how to mend it."""


def build_files(settings: Settings, aws: Aws) -> dict[str, str]:
    """Place below the plan's folder -> text of the file, of all that follows from the settings."""
    # Of what is not asked for there is no stack.
    optional = {
        "names": build_names_stack(settings, aws),
        "files": build_storage_stack(settings, aws),
        "observe": build_observe_stack(aws),
        "prometheus-ours": build_prometheus_values(aws, settings.catalogue),
        "logs-ours": build_logs_values(aws),
    }
    lists = {name: [stack] for name, stack in optional.items() if stack}
    if gpus := build_gpu_objects(settings.catalogue):
        lists["gpus"] = gpus
    return {
        **{PLACES[name]: _dump(objects) for name, objects in lists.items()},
        PLACES["endpoints"]: _dump([build_endpoints_stack(aws)]),
        PLACES["balancer"]: (FOLDER / "load-balancer.yaml").read_text("utf-8"),
        PLACES["balancer-ours"]: _dump([build_load_balancer_values(aws)]),
        PLACES["cluster"]: _dump([build_cluster_config(aws)]),
        PLACES["addons"]: _dump([build_addon_upgrade(aws)]),
        PLACES["shipped"]: (FOLDER / "karpenter.yaml").read_text("utf-8"),
        PLACES["ours"]: _dump([build_karpenter_values(aws, settings.catalogue)]),
        PLACES["classes"]: _dump(build_node_classes(aws, settings.catalogue)),
        PLACES["pools"]: _dump(build_pools(settings)),
        PLACES["storage"]: _dump([build_storage_class()]),
        PLACES["root"]: _dump([build_root_queue(settings.catalogue)]),
        **_build_watching(aws),
    }


def _build_watching(aws: Aws) -> dict[str, str]:
    """Of step ``60-observe``, what is the same for every cluster that asks for it."""
    observe, files = aws.observe or Observe(), {}
    if objects := build_objects(aws):
        files[PLACES["monitoring"]] = _dump(objects)
    if observe.metrics:
        files[PLACES["prometheus"]] = (FOLDER / "prometheus.yaml").read_text("utf-8")
        files[PLACES["alarms"]] = ALARMS.read_text("utf-8")
        files |= {
            f"60-observe/dashboards/{name}.json": text for name, text in build_dashboards().items()
        }
    if observe.dashboards:
        files[PLACES["grafana"]] = (FOLDER / "grafana.yaml").read_text("utf-8")
    if observe.log_days:
        files[PLACES["logs"]] = (FOLDER / "fluent-bit.yaml").read_text("utf-8")
    return files


def make_plan(settings: Settings, aws: Aws, folder: Path, say: Say, stack_address: str) -> None:
    """Write the plan, in place of an earlier one, and tell what it is and costs.

    Args:
        settings: of the installation.
        aws: the cluster in them.
        folder: below which it gets a folder of its own, called as the cluster is.
        say: told a line at a time.
        stack_address: where Karpenter's file is, with ``{version}`` for its version.

    Raises:
        StackChanged: Karpenter's file is not the pinned one; nothing was written.
        PlanFailed: something else is where it should be written; nothing was written.
    """
    target = folder / aws.cluster
    earlier = _read_list(target)
    versions = read_versions()
    files = build_files(settings, aws)
    away = ""
    try:
        address = stack_address.format(version=versions["KARPENTER_VERSION"])
        files[PLACES["stack"]] = fetch_stack(address, versions["KARPENTER_STACK_SHA256"]).decode()
    except StackAway as error:
        away = str(error)
    with TemporaryDirectory(prefix="notebook-hpc-") as scratch:
        files |= _read_values(settings, Path(scratch))
    _check_free(files, target, earlier)
    _write(files, target, earlier)
    say(
        f"Cluster {aws.cluster} in {aws.region}, account {aws.account}, Kubernetes {aws.kubernetes}"
    )
    say(f"What would be made of it is in {target}; nothing was made.")
    say("`make cluster-up` has images in the registry (05-images), then runs, in this order, with")
    say("the platform deployed (50-platform) before what watches:")
    for command in list_commands(settings, aws, target).values():
        say(f"  {command}")
    _tell_names(settings, aws, target, say)
    if away:
        say(f"Not in it: {away}")
    if not settings.registry or not all(settings.digests.values()):
        say("Images are not pushed yet: step 05-images builds and pushes what the registry lacks.")
    _tell_costs(settings, aws, say)


def _tell_names(settings: Settings, aws: Aws, target: Path, say: Say) -> None:
    """How the address comes to the balancer, which the hub's Ingress makes in `make deploy`."""
    if settings.ingress is None or settings.ingress.kind != "alb":
        return
    names = " and ".join(list_names(settings))
    find = (
        f"kubectl get ingress --namespace {HUB_NAMESPACE}"
        " -o jsonpath='{.items[0].status.loadBalancer.ingress[0].hostname}'"
    )
    if not has_names(settings, aws):
        say(f"After `make deploy`: make records of {names}, each a CNAME (at the top of a zone an")
        say(f"alias) to what this prints: {find}")
        return
    deploy = build_deploy(aws, name_names(aws.cluster), target / PLACES["names"])
    query = "LoadBalancers[?DNSName=='$HOST'].CanonicalHostedZoneId"
    say(f"The last of 50-platform are records of {names} in zone {aws.zone}, as by")
    say(f'  HOST="$({find})"')
    say(
        f"  {shlex.join(deploy)} --parameter-overrides {BALANCER}=$HOST"
        f' {BALANCER_ZONE}="$(aws elbv2 describe-load-balancers --region {aws.region}'
        f' --query "{query}" --output text)"'
    )


def _tell_costs(settings: Settings, aws: Aws, say: Say) -> None:
    machines, prices = {each.name: each for each in load_types()}, read_prices()
    if aws.partition == "aws":
        basis = f"dollars, list prices of {prices['region']}, {prices['as_of']}; bills differ"
        say(f"Idle, a month, reckoned ({basis}):")
        _tell(reckon_idle(settings, aws, machines, prices), say)
        say("Beside it all pools at their limits all month, each in the dearest way known here:")
        _tell(reckon_full(aws, settings.catalogue, machines, prices), say)
    else:
        say(f"Of {aws.partition} no prices are known here.")
    for sentence in find_short_quotas(aws, settings.catalogue, machines):
        say(f"Too little: {sentence}.")
    for note in find_notes(settings.catalogue, list(machines.values())):
        say(f"Note: {note}.")


def _tell(costs: Sequence[Cost], say: Say) -> None:
    for each in costs:
        amount = "unknown" if each.per_month is None else f"{each.per_month:,.0f}"
        say(f"  {amount:>9}  {each.what}: {each.how}")
    known = sum(each.per_month or 0 for each in costs)
    say(f"  {known:>9,.0f}  in all that is known")


def _read_values(settings: Settings, scratch: Path) -> dict[str, str]:
    """Values of the platform's charts, as `make deploy` hands them to helm; the last wins."""
    deployment = Deployment(settings, Tools(), scratch, lambda line: None)
    return {
        f"50-platform/{release}/{number}-{path.name}": path.read_text("utf-8")
        for release in STEPS
        for number, path in enumerate(deployment.list_values(release), 1)
    }


def _read_list(target: Path) -> list[str]:
    """Places of an earlier plan's files; none where there was no plan."""
    try:
        places = (target / _LIST).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise PlanFailed(
                f"{target} is there and is no earlier plan: name another folder"
            ) from error
        return []
    # Nobody but a plan writes this list; what is elsewhere is not touched whatever it says.
    return [
        each for each in places if ".." not in Path(each).parts and not Path(each).is_absolute()
    ]


def _check_free(files: Mapping[str, str], target: Path, earlier: Sequence[str]) -> None:
    """See that no file of an administrator's own would be written over.

    Karpenter's file may have been laid there by hand: then it is the same.
    """
    for place in files.keys() - {*earlier}:
        path = target / place
        if path.is_dir() or (path.exists() and path.read_bytes() != files[place].encode()):
            raise PlanFailed(
                f"{path} is not of an earlier plan, and would be written over: take it away"
            )


def _write(files: Mapping[str, str], target: Path, earlier: Sequence[str]) -> None:
    """Write the files, the list of them first, and take away those of an earlier plan."""
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Whoever is interrupted in between has listed what is there.
    _write_list({*files, *earlier}, target)
    for place in {*earlier} - files.keys():
        path = target / place
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == target or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()
    for place, text in files.items():
        (target / place).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_file(target / place, text)
    _write_list(files, target)


def _write_list(places: Collection[str], target: Path) -> None:
    _write_file(target / _LIST, "".join(f"{each}\n" for each in sorted(places)))


def _write_file(path: Path, text: str) -> None:
    # An administrator may have laid secrets over a chart's values.
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _dump(documents: Sequence[object]) -> str:
    return yaml.safe_dump_all(json.loads(json.dumps(documents)), sort_keys=False)
