"""Ways to AWS' services that are not through NAT: part of step ``10-eksctl``, after the cluster.

eksctl makes such endpoints for clusters without any way out only, so this is a stack of ours. S3's
is a gateway in the route tables: layers of images come through it, and it costs nothing. Others
are addresses in the private subnets, paid by the hour. Pure.
"""

from cluster.aws.template import (
    Manifest,
    build_network,
    build_subnets,
    build_template,
)
from cluster.driver.aws_settings import Aws

_HTTPS = 443
#: What comes before the name of a service; S3's has no such beginning in China either.
#: Source: eksctl v0.230.0, pkg/cfn/builder/testdata/service_details_china.json
_BEGINS = {"aws": "com.amazonaws", "aws-cn": "cn.com.amazonaws"}
#: Parameter of the stack: the private subnets' route tables, which eksctl's stack does not export.
ROUTE_TABLES = "RouteTables"


def name_endpoints(cluster: str) -> str:
    """The stack of a cluster's endpoints."""
    return f"{cluster}-endpoints"


def build_route_tables_query(aws: Aws) -> list[str]:
    """Words of ``aws`` that print the private subnets' route tables, with commas between.

    CloudFormation tells by tags what eksctl's stack called what it made.

    Source: eksctl v0.230.0, pkg/cfn/builder/vpc_ipv4.go
    """
    return [
        *("ec2", "describe-route-tables", "--region", aws.region, "--filters"),
        f"Name=tag:aws:cloudformation:stack-name,Values=eksctl-{aws.cluster}-cluster",
        "Name=tag:aws:cloudformation:logical-id,Values=PrivateRouteTable*",
        *("--query", "join(',', sort(RouteTables[].RouteTableId))", "--output", "text"),
    ]


def build_endpoints_stack(aws: Aws) -> Manifest:
    """The template of the stack.

    Source: https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html
    """
    resources: Manifest = {
        "S3Gateway": {
            "Type": "AWS::EC2::VPCEndpoint",
            "Properties": {
                "VpcEndpointType": "Gateway",
                "ServiceName": f"com.amazonaws.{aws.region}.s3",
                "VpcId": build_network(aws),
                "RouteTableIds": {"Ref": ROUTE_TABLES},
            },
        }
    }
    if aws.network.endpoints:
        resources["EndpointsSecurityGroup"] = _build_group(aws)
    for service in aws.network.endpoints:
        resources[_build_place(service)] = {
            "Type": "AWS::EC2::VPCEndpoint",
            "Properties": {
                "VpcEndpointType": "Interface",
                "ServiceName": f"{_BEGINS[aws.partition]}.{aws.region}.{service}",
                "VpcId": build_network(aws),
                "SubnetIds": build_subnets(aws),
                "SecurityGroupIds": [{"Fn::GetAtt": ["EndpointsSecurityGroup", "GroupId"]}],
                "PrivateDnsEnabled": True,
            },
        }
    parameter = {
        "Type": "CommaDelimitedList",
        "Description": "Route tables of the cluster's private subnets",
    }
    return build_template(
        f"Ways of cluster {aws.cluster} to services of AWS beside NAT",
        resources,
        Parameters={ROUTE_TABLES: parameter},
    )


def _build_group(aws: Aws) -> Manifest:
    rule = {
        "IpProtocol": "tcp",
        "FromPort": _HTTPS,
        "ToPort": _HTTPS,
        "CidrIp": str(aws.network.cidr),
    }
    properties = {
        "GroupDescription": "Services of AWS for the network of the cluster",
        "VpcId": build_network(aws),
        "SecurityGroupIngress": [rule],
    }
    return {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}


def _build_place(service: str) -> str:
    words = service.replace(".", "-").split("-")
    return "".join(word.capitalize() for word in words) + "Endpoint"
