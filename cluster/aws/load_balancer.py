"""The load balancer before the hub, and the names that lead to it: step ``30-load-balancer``. Pure.

The balancer itself is made by the AWS load balancer controller, from the hub's Ingress.
"""

from cluster.aws.eksctl import DISCOVERY
from cluster.aws.template import Manifest, build_template
from cluster.driver.aws_settings import Aws
from cluster.driver.settings import Settings

#: Where the controller's chart is, and what it and its release are called.
REPOSITORY, CHART = "https://aws.github.io/eks-charts", "aws-load-balancer-controller"
#: Parameters of the names' stack: the balancer's host name, and the zone of Route 53 that AWS has
#: for balancers of the region.
BALANCER, BALANCER_ZONE = "Balancer", "BalancerZone"


def build_load_balancer_values(aws: Aws) -> Manifest:
    """Values of the controller's chart that follow from the cluster.

    It looks for its network by the tag that eksctl gives to it. Where nobody says, it asks the
    machine that it runs on, which answers no pod.

    Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/helm/aws-load-balancer-controller/values.yaml
    """
    values: Manifest = {
        "clusterName": aws.cluster,
        "region": aws.region,
        "vpcTags": {DISCOVERY: aws.cluster},
    }
    if aws.tags:
        values["defaultTags"] = dict(aws.tags)
    return values


def name_names(cluster: str) -> str:
    """The stack of a cluster's records."""
    return f"{cluster}-names"


def has_names(settings: Settings, aws: Aws) -> bool:
    """Whether records are to be made of the address; else people are told of them."""
    return bool(aws.zone and settings.ingress and settings.ingress.kind == "alb")


def list_names(settings: Settings) -> list[str]:
    """Host names that have to lead to the balancer."""
    return [settings.host, *([f"*.{settings.host}"] if settings.subdomains else [])]


def build_names_stack(settings: Settings, aws: Aws) -> Manifest:
    """The template of a stack with the address's records; empty where no zone is named.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-to-elb-load-balancer.html
    """
    if not aws.zone:
        return {}
    target = {
        "DNSName": {"Ref": BALANCER},
        "HostedZoneId": {"Ref": BALANCER_ZONE},
        "EvaluateTargetHealth": False,
    }
    record = {"HostedZoneId": aws.zone, "Type": "A", "AliasTarget": target}
    resources = {
        "Wildcard" if name.startswith("*") else "Host": {
            "Type": "AWS::Route53::RecordSet",
            "Properties": {"Name": f"{name}.", **record},
        }
        for name in list_names(settings)
    }
    parameters = {
        BALANCER: {"Type": "String", "Description": "Host name of the balancer before the hub"},
        BALANCER_ZONE: {"Type": "String", "Description": "Its hosted zone, as ELB tells it"},
    }
    return build_template(
        f"Names that lead to the hub of cluster {aws.cluster}", resources, Parameters=parameters
    )
