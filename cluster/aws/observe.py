"""What watches the cluster: step ``60-observe``.

Values of three charts (Prometheus, Grafana, what ships logs), Grafana's dashboards as an object of
the cluster, and one CloudFormation stack with what belongs to the account: where alarms go, the
group of logs, the budget. Each part only where ``aws: observe`` asks for it. Pure but for the
dashboards' file.
"""

import json
from collections.abc import Iterator
from typing import Any

from cluster.aws.dashboards import build_dashboard, read_dashboards
from cluster.aws.template import Manifest, build_pod_role, build_template
from cluster.driver.aws_observe import MONITORING, Budget, Observe
from cluster.driver.aws_settings import STORAGE_CLASS, Aws
from hub_config.platform.catalogue import Catalogue

#: Chart, which its release is called after, and its repository.
PROMETHEUS = ("prometheus", "https://prometheus-community.github.io/helm-charts")
GRAFANA = ("grafana", "https://grafana-community.github.io/helm-charts")
FLUENT_BIT = ("aws-for-fluent-bit", "https://aws.github.io/eks-charts")
#: Accounts of helm-values/prometheus.yaml and fluent-bit.yaml.
_ALARMS_ACCOUNT, _LOGS_ACCOUNT = "alertmanager", "fluent-bit"
#: The Secret in which Prometheus finds what the hub asks for, and the key in the hub's own.
TOKEN_SECRET, TOKEN_KEY = "hub-metrics", "hub.services.prometheus.apiToken"
#: The most of its disk that Prometheus fills before it forgets: the rest is for what it writes now.
_FILLED = 0.85
#: Of a budget: kind of amount, and percent of it that somebody is told of.
_THRESHOLDS = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
#: AWS' word for money, by partition.
_CURRENCY = {"aws": "USD", "aws-cn": "CNY"}


def name_stack(cluster: str) -> str:
    """The stack with what belongs to the account."""
    return f"{cluster}-observe"


def build_observe_stack(aws: Aws) -> Manifest:
    """The template of the stack; empty where nothing is to be made, and no stack is."""
    observe = aws.observe or Observe()
    resources: Manifest = {}
    if observe.sends_alarms:
        resources |= _build_topic(aws, observe)
    if observe.log_days:
        resources |= _build_logs(aws, observe.log_days)
    if observe.budget:
        resources["Budget"] = _build_budget(aws, observe.budget, observe.mails)
    if not resources:
        return {}
    return build_template(f"What watches cluster {aws.cluster}", resources)


def _build_topic(aws: Aws, observe: Observe) -> Manifest:
    """A topic that writes to people, and Alertmanager's right to tell it something.

    Source: https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html
    """
    subscriptions = [{"Protocol": "email", "Endpoint": mail} for mail in observe.mails]
    properties = {"TopicName": _name_topic(aws), "Subscription": subscriptions}
    statement = {
        "Sid": "TellOfAlarms",
        "Effect": "Allow",
        "Action": ["sns:Publish"],
        "Resource": [_build_topic_arn(aws)],
    }
    role = build_pod_role(aws, _ALARMS_ACCOUNT, (MONITORING,), [statement], "Alarms")
    return {"Alarms": {"Type": "AWS::SNS::Topic", "Properties": properties}, **role}


def _build_logs(aws: Aws, days: int) -> Manifest:
    """A group of logs, and the right to write into it.

    Source: https://docs.fluentbit.io/manual/pipeline/outputs/cloudwatch (permissions)
    """
    name = name_logs(aws)
    arn = f"arn:{aws.partition}:logs:{aws.region}:{aws.account}:log-group:{name}"
    statement = {
        "Sid": "WriteLogs",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        "Resource": [arn, f"{arn}:*"],
    }
    group = {
        "Type": "AWS::Logs::LogGroup",
        "Properties": {"LogGroupName": name, "RetentionInDays": days},
    }
    role = build_pod_role(aws, _LOGS_ACCOUNT, (MONITORING,), [statement], "Logs")
    return {"Logs": group, **role}


def _build_budget(aws: Aws, budget: Budget, mails: tuple[str, ...]) -> Manifest:
    """A budget of costs, a month; of the whole account, or of what has a tag.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-budgets-budget.html
    """
    said: Manifest = {
        "BudgetName": aws.cluster,
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": budget.month, "Unit": _CURRENCY[aws.partition]},
    }
    if budget.tag:
        said["CostFilters"] = {"TagKeyValue": [f"user:{budget.tag}${aws.tags[budget.tag]}"]}
    told = [{"SubscriptionType": "EMAIL", "Address": mail} for mail in mails]
    notifications = [
        {
            "Notification": {
                "NotificationType": kind,
                "ComparisonOperator": "GREATER_THAN",
                "Threshold": percent,
                "ThresholdType": "PERCENTAGE",
            },
            "Subscribers": told,
        }
        for kind, percent in _THRESHOLDS
    ]
    properties = {"Budget": said, "NotificationsWithSubscribers": notifications}
    return {"Type": "AWS::Budgets::Budget", "Properties": properties}


def build_prometheus_values(aws: Aws, catalogue: Catalogue) -> Manifest:
    """Values of Prometheus' chart that follow from the settings; empty where there is none.

    Source: https://github.com/prometheus-community/helm-charts/blob/prometheus-29.27.0/charts/prometheus/values.yaml
    """
    observe = aws.observe
    if observe is None or observe.metrics is None:
        return {}
    metrics = observe.metrics
    filled_mib = int(metrics.disk_gib * 1024 * _FILLED)
    disk = {"size": f"{metrics.disk_gib}Gi", "storageClass": STORAGE_CLASS}
    values: Manifest = {
        "server": {
            "persistentVolume": disk,
            "retention": f"{metrics.keep_days}d",
            "retentionSize": f"{filled_mib}MB",
        }
    }
    if prices := [*_list_prices(catalogue)]:
        groups = [{"name": "prices", "rules": prices}]
        values["serverFiles"] = {"recording_rules.yml": {"groups": groups}}
    if observe.sends_alarms:
        values["alertmanager"] = {"enabled": True, "config": _build_routes(aws)}
    return values


def _list_prices(catalogue: Catalogue) -> Iterator[Manifest]:
    """What an hour of each class costs, as rules that Prometheus multiplies with."""
    for each in catalogue.classes.values():
        if each.price:
            yield {
                "record": "notebook_hpc_price_per_hour",
                "expr": f"vector({each.price.per_hour:g})",
                "labels": {"class": each.slug},
            }


def _build_routes(aws: Aws) -> Manifest:
    """Where Alertmanager sends what.

    Source: https://prometheus.io/docs/alerting/latest/configuration/#sns_config
    """
    lines = (
        "{{ range .Alerts }}{{ .Labels.alertname }} ({{ .Labels.severity }}, {{ .Status }}):"
        " {{ .Annotations.summary }}\nTo do: {{ .Annotations.runbook }}\n\n{{ end }}"
    )
    topic = {
        "topic_arn": _build_topic_arn(aws),
        "sigv4": {"region": aws.region},
        # SNS takes 100 characters of ASCII.
        "subject": f"{aws.cluster}: {{{{ .Status }}}} {{{{ .CommonLabels.alertname }}}}"[:100],
        "message": lines,
        "send_resolved": True,
    }
    route = {
        "receiver": "people",
        "group_by": ["alertname"],
        "group_wait": "1m",
        "group_interval": "10m",
        "repeat_interval": "12h",
    }
    return {"route": route, "receivers": [{"name": "people", "sns_configs": [topic]}]}


def build_logs_values(aws: Aws) -> Manifest:
    """Values of the chart that ships logs; empty where none are shipped.

    Source: https://github.com/aws/eks-charts, stable/aws-for-fluent-bit/values.yaml (0.2.0)
    """
    if aws.observe is None or not aws.observe.log_days:
        return {}
    return {"cloudWatchLogs": {"region": aws.region, "logGroupName": name_logs(aws)}}


def build_objects(aws: Aws) -> list[Manifest]:
    """The namespace, and the dashboards where they are shown; nothing where nothing runs in it."""
    observe = aws.observe or Observe()
    if not (observe.metrics or observe.log_days):
        return []
    objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": MONITORING}}]
    if observe.dashboards:
        data = {f"{name}.json": text for name, text in build_dashboards().items()}
        metadata = {"name": "dashboards", "namespace": MONITORING}
        objects.append(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        )
    return objects


def build_dashboards() -> dict[str, str]:
    """Name -> JSON."""
    return {
        each["name"]: json.dumps(build_dashboard(each), indent=1) + "\n"
        for each in read_dashboards()
    }


def build_token(secret: dict[str, Any]) -> Manifest | None:
    """The Secret for Prometheus, from the hub's own; ``None`` where that has no token for it."""
    token = secret.get("data", {}).get(TOKEN_KEY)
    if not token:
        return None
    metadata = {"name": TOKEN_SECRET, "namespace": MONITORING}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"token": token}}


def name_logs(aws: Aws) -> str:
    """The group of logs of CloudWatch."""
    return f"/notebook-hpc/{aws.cluster}"


def _name_topic(aws: Aws) -> str:
    return f"{aws.cluster}-alarms"


def _build_topic_arn(aws: Aws) -> str:
    return f"arn:{aws.partition}:sns:{aws.region}:{aws.account}:{_name_topic(aws)}"
