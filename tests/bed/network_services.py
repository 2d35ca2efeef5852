"""What a cluster's network needs once: kube-proxy for Services' addresses, CoreDNS for names.

Both run in the bed's network namespace beside the nodes, which share it, so one kube-proxy's rules
hold for all of them and for this machine. Used by `nodes.py` and `bed.py`.

Sources: https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/ (v1.35),
https://coredns.io/plugins/kubernetes/ (1.14)
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.bed.files import write_atomically
from tests.bed.node_files import CLUSTER_DOMAIN

if TYPE_CHECKING:
    from tests.bed.bed import Bed

DNS_PORT = 53


def build_proxy(kubeconfig: str, *, address: str, pod_range: str, hostname: str) -> dict[str, Any]:
    """kube-proxy's configuration: rules of nftables, and nothing on the machine's own addresses.

    Args:
        kubeconfig: for watching Services.
        address: where its own metrics are.
        pod_range: what comes from elsewhere gets another sender, so that answers find the way back.
        hostname: the node that it says it runs on, and for whose address it waits before it
            writes the first rule.
    """
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": kubeconfig},
        "clusterCIDR": pod_range,
        "bindAddress": address,
        "hostnameOverride": hostname,
        "healthzBindAddress": "",
        "metricsBindAddress": f"{address}:10249",
        # The first is the machine's; the others would be set for each new connection.
        "conntrack": {
            "maxPerCore": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "nftables": {"minSyncPeriod": "100ms"},
    }


def build_corefile(kubeconfig: str, address: str) -> str:
    """CoreDNS's configuration: the cluster's names; any other name does not exist.

    Two servers, since `template` comes before `kubernetes` in one server's chain.
    """
    return f"""\
{CLUSTER_DOMAIN}:{DNS_PORT} in-addr.arpa:{DNS_PORT} {{
  bind {address}
  errors
  kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
    kubeconfig {kubeconfig}
    ttl 5
  }}
}}
.:{DNS_PORT} {{
  bind {address}
  errors
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


def start_network_services(bed: Bed, *, hostname: str) -> None:
    """Start kube-proxy and CoreDNS; the API server answers already."""
    folder, network = bed.folder, bed.network
    proxy, corefile = folder / "kube-proxy.json", folder / "Corefile"
    # kube-proxy ends when this file changes, so it is written once.
    configuration = build_proxy(
        str(folder / "kube-proxy.kubeconfig"),
        address=network.address,
        pod_range=network.pod_range,
        hostname=hostname,
    )
    write_atomically(proxy, json.dumps(configuration, indent=2) + "\n")
    write_atomically(corefile, build_corefile(str(folder / "coredns.kubeconfig"), network.address))
    for name, option in (("kube-proxy", f"--config={proxy}"), ("coredns", f"-conf={corefile}")):
        bed.daemons.start(name, [bed.programs.path(name), option], within=network.within)
