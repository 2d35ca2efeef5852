"""What an administrator brings to an installation that is no demonstration, and the settings of it.

A login (a certified OpenID Connect provider), a PostgreSQL server and a bucket, each at this
machine's address in the bed's network, where browsers and pods alike reach it; certificates of the
bed's authority, as of an organization's own; Secrets. It is all that ``make deploy`` does not make.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from tests import bucket_server, database_server
from tests.bed.bed import Bed
from tests.bed.hub import images
from tests.bed.installation import build_settings, get_folder, write_settings
from tests.bed.namespace import Namespace
from tests.bed.overlay import lay_over, load_values
from tests.bucket_server import BucketServer
from tests.database_server import PASSWORD, DatabaseServer, Listener
from tests.hub.oidc import CLIENT_ID, CLIENT_SECRET, Provider, run_provider
from tests.ports import find_free_port

HOST = "localhost"
#: Groups of the catalogue, and the provider's.
GROUPS = {"spatial-lab": ["spatial"], "teaching": ["course"]}
ADMINISTRATORS = ["platform-team"]
DATABASES = ("hub", "jobs")
BUCKET, PREFIX = "results", "offline"
#: Whose pods may scrape the jobs service.
MONITORING = "monitoring"
PROXY_TOKEN = "0123456789abcdef" * 4
#: Where the hub's chart mounts the Secret that ``hub.existingSecret`` names.
_MOUNT = "/usr/local/etc/jupyterhub/existing-secret"
_AUTHORITY = "login-ca.pem"


@dataclass(frozen=True)
class Brought:
    """What is there before the platform.

    Attributes:
        bed: whose nodes the platform comes to.
        folder: of settings and certificates.
        url: where browsers will find it, without a slash at the end.
        provider: of the login.
        database: with a database each for hub and jobs service.
        objects: with a bucket.
        keys: certificate and key of what leads from the address to the proxy.
    """

    bed: Bed
    folder: Path
    url: str
    provider: Provider
    database: DatabaseServer
    objects: BucketServer
    keys: tuple[Path, Path]

    @property
    def settings(self) -> Path:
        """The file that ``make deploy`` gets."""
        return self.folder / "settings.yaml"

    @property
    def authority(self) -> Path:
        """The certificate that everybody here trusts."""
        return self.bed.authority.certificate_file

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """What a browser on this machine trusts."""
        return ssl.create_default_context(cafile=str(self.authority))

    @property
    def secrets(self) -> Mapping[str, Mapping[str, str]]:
        """Secrets that the administrator makes in the hub's namespace, as ``docs`` has them."""
        client = {"hub": {"config": {"OAuthenticator": {"client_secret": CLIENT_SECRET}}}}
        listener = self.database.listener
        assert listener is not None
        place = f"{listener.address}:{listener.port}/jobs?sslmode=require"
        return {
            "hub-secrets": {
                "hub.config.ConfigurableHTTPProxy.auth_token": PROXY_TOKEN,
                "values.yaml": yaml.safe_dump(client),
                "hub.db.password": PASSWORD,
                _AUTHORITY: self.authority.read_text(),
            },
            "jobs-database": {"url": f"postgresql://jobs:{quote(PASSWORD, safe='')}@{place}"},
            "objects": {
                "credentials": bucket_server.write_credentials(
                    self.folder / "credentials"
                ).read_text()
            },
        }

    @property
    def secret_texts(self) -> dict[str, str]:
        """What must stand in Secrets alone."""
        return {
            "the client's secret": CLIENT_SECRET,
            "the databases' password": PASSWORD,
            "the password as in an address": quote(PASSWORD, safe=""),
            "the bucket's key": bucket_server.SECRET,
            "the proxy's token": PROXY_TOKEN,
        }

    def write_settings(self) -> None:
        """Write what the administrator says."""
        volcano = self.bed.programs.data / "volcano"
        written = build_settings(get_folder(self.bed), volcano, self.url)
        del written["values"]["jupyterhub"]["custom"]
        digests = images.name_all_by_digest(self.bed)
        written |= {
            "subdomains": False,
            "ingress": {"class": "none"},
            "digests": {each: digests[each] for each in ("hub", "jobs-service")},
            "login": {
                "provider": "oidc",
                "issuer": self.provider.issuer,
                "client_id": CLIENT_ID,
                "groups": GROUPS,
                "administrators": ADMINISTRATORS,
            },
        }
        written["values"] = lay_over(written["values"], self._build_values())
        catalogue = load_values(real=True)
        content = catalogue["custom"]["catalogue"]
        content["folders_image"]["digest"] = digests["folders"]
        content["images"] = [
            {**each, "digest": digests[each["slug"]]}
            for each in content["images"]
            if each["slug"] in digests
        ]
        write_settings(self.folder, written, catalogue)

    def _build_values(self) -> dict[str, Any]:
        """What goes over the values of charts."""
        listener = self.database.listener
        assert listener is not None
        place = f"{listener.address}:{listener.port}/hub?sslmode=require"
        trust = {"http_request_kwargs": {"ca_certs": f"{_MOUNT}/{_AUTHORITY}"}}
        monitoring = {"kubernetes.io/metadata.name": MONITORING}
        return {
            "jupyterhub": {
                "hub": {
                    "existingSecret": "hub-secrets",
                    "db": {"type": "postgres", "url": f"postgresql://hub@{place}"},
                    "config": {"OAuthenticator": trust},
                }
            },
            "offline-jobs": {
                "database": {"existingSecret": "jobs-database"},
                "objects": {
                    "bucket": f"s3://{BUCKET}/{PREFIX}",
                    "region": bucket_server.REGION,
                    "endpoint": self.objects.url,
                    "credentialsSecret": "objects",
                },
                "metrics": {"from": [{"namespaceSelector": {"matchLabels": monitoring}}]},
            },
        }


@contextmanager
def bringing(bed: Bed, folder: Path) -> Iterator[Brought]:
    """Provider, database server and bucket; they end with it."""
    network = bed.network
    assert isinstance(network, Namespace)
    address = network.host_address
    certificate, key = bed.authority.issue_server("brought", HOST, [address, HOST, "127.0.0.1"])
    url = f"https://{HOST}:{find_free_port()}"
    place = {"address": address, "tls": {"certificate": str(certificate), "key": str(key)}}
    with ExitStack() as stack:
        provider = stack.enter_context(run_provider(folder, f"{url}/hub/oauth_callback", place))
        listener = Listener(address, network.pod_range, certificate, key)
        database = stack.enter_context(database_server.running_server(listener))
        for name in DATABASES:
            database.make_role(name)
            database.execute(
                f"CREATE DATABASE {name} OWNER {name} ENCODING 'UTF8' TEMPLATE template0"
            )
        objects = stack.enter_context(bucket_server.running_server(folder / "objects", address))
        objects.make_bucket(BUCKET)
        yield Brought(bed, folder, url, provider, database, objects, (certificate, key))
