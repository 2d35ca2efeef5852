"""The control plane's programs: who listens where, and with which flags.

Etcd and Kubernetes first, then Volcano's three programs, kwok and Karpenter. Everything listens on
the bed's own address; all users of the API are administrators but for the kubelets, since what is
tested for its rights talks with a ServiceAccount's token.

Sources: the programs' `--help` at the versions pinned in `modules/`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bed.files import write_atomically
from tests.bed.network import Network
from tests.bed.pki import MASTERS, Authority
from tests.bed.processes import Daemons
from tests.bed.programs import Programs

#: Requests per second that a program may send; the default of 5 to 50 is the bottleneck of a burst.
RATE = ("--kube-api-qps=200", "--kube-api-burst=300")
#: Between two cycles of Volcano's scheduler, of which a job needs two or three; 1 s by default.
SCHEDULE_PERIOD = "250ms"
#: Ended in this order, last of all, so that whoever goes before can still say goodbye.
STOP_ORDER = ("kube-controller-manager", "kube-apiserver", "etcd")
#: They keep nothing that is needed again.
FORCED = ("kube-apiserver", "etcd", "karpenter")


@dataclass(frozen=True)
class ControlPlane:
    """Starts the programs of one bed; `folder` is the bed's."""

    folder: Path
    network: Network
    programs: Programs
    daemons: Daemons
    authority: Authority

    @property
    def server(self) -> str:
        """The API server's address."""
        return self._url("kube-apiserver")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    def make_keys(self) -> None:
        """Make the administrator's kubeconfig, those of the programs, and the servers' keys."""
        address = self.network.address
        first = str(ipaddress.ip_network(self.network.service_range)[1])
        service = "kubernetes.default.svc"
        hosts = ["kubernetes", "kubernetes.default", service, f"{service}.cluster.local"]
        self.authority.issue_server(
            "apiserver", "kube-apiserver", [*hosts, "localhost", address, first]
        )
        self.authority.issue_server("webhook", "volcano-admission", ["localhost", address])
        self.authority.issue_client("apiserver-kubelet", "kube-apiserver-kubelet", [MASTERS])
        self.authority.make_service_account_keys()
        self.authority.write_kubeconfig(self.kubeconfig, self.server, "admin", [MASTERS])
        for user in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
            self._write_kubeconfig(user, f"system:{user}", ())
        for user in ("kwok", "karpenter", "volcano", "coredns"):
            self._write_kubeconfig(user, user, (MASTERS,))

    def start_etcd(self) -> None:
        """Start etcd, which forgets nothing until the bed ends but syncs no disk."""
        client, peer = self._url("etcd", "http"), self._url("etcd-peer", "http")
        self._start(
            "etcd",
            f"--name=bed --data-dir={self.folder / 'etcd'} --unsafe-no-fsync --log-level=warn",
            f"--listen-client-urls={client} --advertise-client-urls={client}",
            f"--listen-peer-urls={peer} --initial-advertise-peer-urls={peer}",
            f"--initial-cluster=bed={peer}",
        )

    def start_apiserver(self) -> None:
        """Start the API server."""
        keys, address = self.authority.folder, self.network.address
        # It refuses to name a loopback address as the endpoint of Service `kubernetes`.
        is_loopback = address.startswith("127.")
        advertised = (
            "--endpoint-reconciler-type=none" if is_loopback else f"--advertise-address={address}"
        )
        self._start(
            "kube-apiserver",
            f"--etcd-servers={self._url('etcd', 'http')} --allow-privileged=true {advertised}",
            f"--bind-address={address} --secure-port={self.network.port('kube-apiserver')}",
            f"--tls-cert-file={keys}/apiserver.crt --tls-private-key-file={keys}/apiserver.key",
            f"--client-ca-file={self.authority.certificate_file}",
            f"--kubelet-client-certificate={keys}/apiserver-kubelet.crt",
            f"--kubelet-client-key={keys}/apiserver-kubelet.key",
            f"--kubelet-certificate-authority={self.authority.certificate_file}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={keys}/service-accounts.pub",
            f"--service-account-signing-key-file={keys}/service-accounts.key",
            "--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction",
            f"--service-cluster-ip-range={self.network.service_range}",
            "--max-requests-inflight=800 --max-mutating-requests-inflight=400",
        )

    def start_controllers(self) -> None:
        """Start the controller manager and the default scheduler."""
        keys = self.authority.folder
        for name in ("kube-controller-manager", "kube-scheduler"):
            configuration = self._kubeconfig(name)
            flags = [
                f"--kubeconfig={configuration} --authentication-kubeconfig={configuration}",
                f"--authorization-kubeconfig={configuration} --leader-elect=false",
                f"--bind-address={self.network.address} --secure-port={self.network.port(name)}",
            ]
            if name == "kube-controller-manager":
                flags += [
                    f"--service-account-private-key-file={keys}/service-accounts.key",
                    f"--root-ca-file={self.authority.certificate_file}",
                    "--use-service-account-credentials=true",
                    # A claim that it meets before its volume waits for the next round: 15 s else.
                    "--pvclaimbinder-sync-period=1s",
                    *RATE,
                ]
            self._start(name, *flags)

    def start_kwok(self, stages: Path) -> None:
        """Start kwok, which acts the kubelet of every node that Karpenter's kwok provider makes."""
        self._start(
            "kwok",
            f"--kubeconfig={self._kubeconfig('kwok')} --config={stages}",
            "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--node-lease-duration-seconds=40 --cidr=10.128.0.0/16",
            f"--node-ip={self.network.address}",
        )

    def start_admission(self, enabled: str) -> None:
        """Start Volcano's webhook server for the admissions that production enables."""
        keys, address = self.authority.folder, self.network.address
        self._start(
            "vc-webhook-manager",
            f"--kubeconfig={self._kubeconfig('volcano')} --enabled-admission={enabled}",
            f"--tls-cert-file={keys}/webhook.crt --tls-private-key-file={keys}/webhook.key",
            f"--ca-cert-file={self.authority.certificate_file}",
            f"--listen-address={address} --port={self.network.port('vc-webhook-manager')}",
            f"--webhook-url={self._url('vc-webhook-manager')}",
            f"--enable-healthz=true --healthz-address={self._health('vc-webhook-manager')}",
        )

    def start_volcano(self, scheduler_configuration: str) -> None:
        """Start Volcano's scheduler with that configuration, and its controllers.

        Volcano's scheduler reads its file anew when it changes.
        """
        write_atomically(self.scheduler_file, scheduler_configuration)
        common = (
            f"--kubeconfig={self._kubeconfig('volcano')} --leader-elect=false",
            "--enable-healthz=true --enable-metrics=true -v=3",
            *RATE,
        )
        self._start(
            "vc-scheduler",
            f"--scheduler-conf={self.scheduler_file} --cache-dumper=false",
            f"--schedule-period={SCHEDULE_PERIOD}",
            f"--listen-address={self.get_metrics_address('vc-scheduler')}",
            f"--healthz-address={self._health('vc-scheduler')}",
            *common,
        )
        self._start(
            "vc-controller-manager",
            f"--listen-address={self.get_metrics_address('vc-controller-manager')}",
            f"--healthz-address={self._health('vc-controller-manager')}",
            *common,
        )

    def start_karpenter(self, instance_types: Path) -> None:
        """Start Karpenter with its kwok provider and our instance types."""
        environment = {
            "KUBECONFIG": str(self._kubeconfig("karpenter")),
            "DISABLE_LEADER_ELECTION": "true",
            "METRICS_PORT": str(self.network.port("karpenter-metrics")),
            "HEALTH_PROBE_PORT": str(self.network.port("karpenter-health")),
            "INSTANCE_TYPES_FILE_PATH": str(instance_types),
            "SYSTEM_NAMESPACE": "kube-system",
            "LOG_LEVEL": "info",
        }
        self._start("karpenter", environment=environment)

    @property
    def scheduler_file(self) -> Path:
        """Where the running scheduler's configuration stands."""
        return self.folder / "volcano-scheduler.conf"

    def get_metrics_address(self, name: str) -> str:
        """HOST:PORT of `/metrics` of one of Volcano's programs."""
        return f"{self.network.address}:{self.network.port(f'{name}-metrics')}"

    @property
    def webhook_server(self) -> str:
        """The address of Volcano's webhook server."""
        return self._url("vc-webhook-manager")

    def _start(self, name: str, *flags: str, environment: Mapping[str, str] | None = None) -> None:
        words = [word for group in flags for word in group.split()]
        argv = [str(self.programs.path(name)), *words]
        self.daemons.start(name, argv, environment=environment, within=self.network.within)

    def _write_kubeconfig(self, name: str, user: str, groups: tuple[str, ...]) -> None:
        self.authority.write_kubeconfig(self._kubeconfig(name), self.server, user, groups)

    def _kubeconfig(self, name: str) -> Path:
        return self.folder / f"{name}.kubeconfig"

    def _url(self, name: str, scheme: str = "https") -> str:
        return f"{scheme}://{self.network.address}:{self.network.port(name)}"

    def _health(self, name: str) -> str:
        return f"{self.network.address}:{self.network.port(f'{name}-health')}"
