"""An administrator's way into an account that moto plays. Imported by rings that have one."""

from typing import Any

import boto3

REGION = "eu-central-1"


def build_client(endpoint: str, service: str) -> Any:
    """A client of boto3's that finds nothing but moto's server, with credentials of its own."""
    return boto3.session.Session().client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="administrator",
        aws_secret_access_key="secret",
    )
