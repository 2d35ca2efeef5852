"""Makes what watches a cluster, and looks whether it is there: step ``60-observe``.

What it is, :mod:`cluster.aws.observe` says.
"""

from collections.abc import Iterator

from cluster.aws.commands import CommandFailed
from cluster.aws.context import Context
from cluster.aws.observe import FLUENT_BIT, GRAFANA, PROMETHEUS, build_observe_stack, build_token
from cluster.aws.observe import name_stack as name_observe
from cluster.driver.aws_observe import MONITORING, Observe
from cluster.driver.charts import NAMESPACE as HUB_NAMESPACE
from cluster.driver.deployment import Finding


def make_watching(context: Context) -> None:
    """Make what watches; what was asked for once and is no more goes.

    Raises:
        CommandFailed: a command failed, or the hub has no token for Prometheus.
        ToolFailed: helm or kubectl failed.
    """
    observe, name = context.aws.observe or Observe(), name_observe(context.aws.cluster)
    if build_observe_stack(context.aws):
        context.refuse_half_made(name)
        context.run("observe")
    else:
        context.delete_stack(name)
    context.run("monitoring")
    if observe.metrics:
        _hand_over_token(context)
    context.run("prometheus", "grafana", "logs")
    wanted = {
        PROMETHEUS[0]: bool(observe.metrics),
        GRAFANA[0]: observe.dashboards,
        FLUENT_BIT[0]: bool(observe.log_days),
    }
    if context.tools.find("namespace", MONITORING):
        for release in (each for each, is_wanted in wanted.items() if not is_wanted):
            context.tools.uninstall(release, MONITORING)


def _hand_over_token(context: Context) -> None:
    """Copy what the hub asks Prometheus for from its namespace; it is in no file."""
    hub = context.settings.values.get("jupyterhub", {}).get("hub", {})
    # What an administrator has there goes over the chart's.
    for secret in (hub.get("existingSecret"), "hub"):
        found = context.tools.find("secret", secret, HUB_NAMESPACE) if secret else None
        if token := build_token(found or {}):
            context.tools.apply([token])
            return
    raise CommandFailed(
        "The hub has no token for Prometheus yet: run step 50-platform, which makes it where"
        " aws.observe has metrics, and then this one again"
    )


def look_at_watching(context: Context) -> Iterator[Finding]:
    """Whether it is there; of what is not asked for nothing is said."""
    observe = context.aws.observe or Observe()
    for name, is_wanted in (
        ("prometheus-server", observe.metrics is not None),
        ("grafana", observe.dashboards),
    ):
        if is_wanted:
            found = context.tools.find("deployment", name, MONITORING) or {}
            fine = bool(found.get("status", {}).get("availableReplicas"))
            mend = "answers" if fine else f"kubectl describe deployment {name} -n {MONITORING}"
            yield Finding(name, fine, mend)
