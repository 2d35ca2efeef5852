"""Which programs the bed has, of which versions: read from the go.mods under `modules/`.

A family is one Go module of ours, with what is built of it (its `tool` lines) and what is copied
from the downloaded sources. The go.mods are the only place where a version is pinned. Pure but for
reading these files. Imported by `tests/bed` and its tests.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from images._tool.stamps import hash_inputs

MODULES = Path(__file__).parent / "modules"
OWN_SOURCES = Path(__file__).parent / "go"
KUBERNETES = "k8s.io/kubernetes"
PRICES = "zz_generated.pricing_aws.go"
#: What Volcano's image of the webhook server has beside the program.
SECRET_SCRIPT = "gen-admission-secret.sh"

#: Packages whose last word says too little.
NAMES = {
    "go.etcd.io/etcd/server/v3": "etcd",
    "sigs.k8s.io/karpenter/kwok": "karpenter",
    "volcano.sh/volcano/cmd/controller-manager": "vc-controller-manager",
    "volcano.sh/volcano/cmd/scheduler": "vc-scheduler",
    "volcano.sh/volcano/cmd/webhook-manager": "vc-webhook-manager",
}
#: Only real nodes need them, and only on Linux they can be built.
NODE_PROGRAMS = ("kubelet", "kube-proxy", "pause", "probe")

# Without these a server says v0.0.0, and Volcano and helm draw conclusions from that.
_KUBERNETES_VERSION = (
    "k8s.io/component-base/version.gitVersion=v{kubernetes}",
    "k8s.io/component-base/version.gitMajor={kubernetes_major}",
    "k8s.io/component-base/version.gitMinor={kubernetes_minor}",
)
_HELM_VERSION = (
    "helm.sh/helm/v3/internal/version.version=v{own}",
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor={kubernetes_major}",
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={kubernetes_minor}",
)
_VOLCANO_VERSION = ("volcano.sh/volcano/pkg/version.Version=v{own}",)


@dataclass(frozen=True)
class GoMod:
    """What a go.mod says, as far as it matters here.

    Attributes:
        go: the least version of Go.
        tools: packages of the `tool` lines.
        requires: module -> version, the indirect ones too.
        replaces: module -> what stands for it, `PATH vVERSION` or a folder.
    """

    go: str
    tools: tuple[str, ...]
    requires: Mapping[str, str]
    replaces: Mapping[str, str]

    def get_version(self, module: str) -> str:
        """Return the version of a module that is really built, without its `v`."""
        found = self.replaces.get(module, "").rpartition(" ")[2] or self.requires[module]
        return found.removeprefix("v")


@dataclass(frozen=True)
class Family:
    """What comes from one module of ours.

    Attributes:
        name: its folder under `modules/`.
        main: the module whose version is that of the programs; none for our own programs.
        copies: place in the family's folder -> place in the downloaded main module. Of a folder
            under `crds/` only YAML is taken.
        stamps: variables that get a version when the programs are linked.
        patched: (family that pins a module, extra file -> text): this family takes that module
            from a patched copy.
    """

    name: str
    main: str = ""
    copies: Mapping[str, str] = field(default_factory=dict)
    stamps: tuple[str, ...] = ()
    patched: tuple[Family, Mapping[str, str]] | None = None

    @property
    def folder(self) -> Path:
        """Where its go.mod is."""
        return MODULES / self.name if self.main else OWN_SOURCES

    def list_sources(self) -> list[Path]:
        """List the files that it is built from, in order."""
        return sorted(path for path in self.folder.glob("**/*") if path.is_file())


# Volcano 1.15.1 needs this one constant beyond the newest tag of its types that can be had; its
# custom resources are its own, hence of the right version.
_GATE = 'package v1beta1\n\nconst QueueAllocationGateKey = GroupName + "/queue-allocation-gate"\n'

APIS = Family("volcano-apis", "volcano.sh/apis")
#: The object store that speaks S3; tests of the service have it without a bed.
OBJECTS = Family("versitygw", "github.com/versity/versitygw")
#: A program of ours that asks eksctl's own code about a cluster's file. It compiles for minutes
#: (AWS' libraries), so only the long run has it.
EKSCTL = "github.com/weaveworks/eksctl"
CHECK_CLUSTER = Family("eksctl-check", EKSCTL)
KUBERNETES_FAMILY = Family("kubernetes", KUBERNETES, stamps=_KUBERNETES_VERSION)
FAMILIES = (
    Family("etcd", "go.etcd.io/etcd/server/v3"),
    OBJECTS,
    KUBERNETES_FAMILY,
    Family(
        "volcano",
        "volcano.sh/volcano",
        copies={
            "crds/volcano": "config/crd/volcano/bases",
            "crds/jobflow": "config/crd/jobflow/bases",
            "data/volcano": "installer/helm/chart/volcano",
        },
        stamps=_KUBERNETES_VERSION + _VOLCANO_VERSION,
        patched=(APIS, {"pkg/apis/scheduling/v1beta1/gate.go": _GATE}),
    ),
    Family(
        "volcano-images",
        "volcano.sh/volcano",
        copies={f"data/{SECRET_SCRIPT}": f"installer/dockerfile/webhook-manager/{SECRET_SCRIPT}"},
    ),
    Family(
        "karpenter",
        "sigs.k8s.io/karpenter",
        copies={"crds/karpenter": "pkg/apis/crds", "crds/karpenter-kwok": "kwok/apis/crds"},
        stamps=_KUBERNETES_VERSION,
    ),
    # What a cluster on AWS has; the bed runs the kwok provider. Its chart says an older version.
    Family(
        "karpenter-aws",
        "github.com/aws/karpenter-provider-aws",
        copies={
            "data/karpenter-aws/crds": "pkg/apis/crds",
            "data/karpenter-aws/chart": "charts/karpenter",
        },
    ),
    Family(
        "eksctl",
        EKSCTL,
        copies={"data/eksctl.schema.json": "pkg/apis/eksctl.io/v1alpha5/assets/schema.json"},
    ),
    Family("kwok", "sigs.k8s.io/kwok", copies={"crds/kwok": "kustomize/crd/bases"}),
    Family("coredns", "github.com/coredns/coredns"),
    Family("helm", "helm.sh/helm/v3", stamps=_HELM_VERSION),
    Family(
        "prices",
        "github.com/aws/karpenter-provider-aws",
        copies={f"data/{PRICES}": f"pkg/providers/pricing/{PRICES}"},
    ),
    Family("own"),
)


def parse_go_mod(text: str) -> GoMod:
    """Read a go.mod.

    Raises:
        ValueError: it says no least version of Go.
    """
    lines: list[tuple[str, str]] = []
    block = ""
    for raw in text.splitlines():
        line = raw.partition("//")[0].strip()
        if line == ")":
            block = ""
        elif line.endswith("("):
            block = line[:-1].strip()
        elif line:
            verb, _, rest = (block, "", line) if block else line.partition(" ")
            lines.append((verb, rest.strip()))
    (go,) = (rest for verb, rest in lines if verb == "go")
    replaces = [rest.split(" => ") for verb, rest in lines if verb == "replace"]
    return GoMod(
        go,
        tuple(rest for verb, rest in lines if verb == "tool"),
        {rest.split()[0]: rest.split()[1] for verb, rest in lines if verb == "require"},
        {old.split()[0]: new.strip() for old, new in replaces},
    )


def read_go_mod(family: Family) -> GoMod:
    """Read a family's go.mod."""
    return parse_go_mod((family.folder / "go.mod").read_text(encoding="utf-8"))


def list_programs(family: Family) -> dict[str, str]:
    """Return name -> package of all that is built of a family on this system."""
    packages = {get_name(package): package for package in read_go_mod(family).tools}
    if platform.system() != "Linux":
        return {name: each for name, each in packages.items() if name not in NODE_PROGRAMS}
    return packages


def get_name(package: str) -> str:
    """Return the bed's name of a program."""
    return NAMES.get(package, package.rpartition("/")[2])


def get_binary(package: str) -> str:
    """Return the name that `go build` gives to a program: a version at the end does not count."""
    words = package.split("/")
    return words[-2] if re.fullmatch(r"v\d+", words[-1]) else words[-1]


def get_version(family: Family) -> str:
    """Return the version of a family's programs, without `v`; our own have none."""
    return read_go_mod(family).get_version(family.main) if family.main else ""


def get_least_go(families: Sequence[Family] = FAMILIES) -> str:
    """Return the least version of Go that builds all families."""
    return max((read_go_mod(family).go for family in families), key=parse_version)


def build_flags(family: Family) -> list[str]:
    """Build the flags of `go build` for a family."""
    kubernetes = read_go_mod(KUBERNETES_FAMILY).get_version(KUBERNETES)
    major, minor, _ = kubernetes.split(".")
    names = {
        "own": get_version(family),
        "kubernetes": kubernetes,
        "kubernetes_major": major,
        "kubernetes_minor": minor,
    }
    stamps = [f"-X {stamp.format(**names)}" for stamp in family.stamps]
    return ["-trimpath", "-buildvcs=false", "-ldflags", " ".join(["-s -w", *stamps])]


def compute_key(family: Family) -> str:
    """Hash all that decides what a family becomes, so that another pin is another place."""
    files = family.list_sources()
    parts: list[str | Path] = [family.name, *build_flags(family), *list_programs(family)]
    parts += [platform.system(), platform.machine(), repr(sorted(family.copies.items()))]
    if family.patched:
        pinned_by, extra = family.patched
        files += pinned_by.list_sources()
        parts.append(repr(sorted(extra.items())))
    return hash_inputs(*parts, *files)[:16]


def parse_version(text: str) -> tuple[int, ...]:
    """Turn `1.26.8` or `go1.26.8` into numbers that can be compared."""
    found = re.search(r"\d+(\.\d+)*", text)
    if found is None:
        raise ValueError(f"{text!r} holds no version")
    return tuple(int(word) for word in found[0].split("."))


def fits(pin: str, said: str) -> bool:
    """Tell whether a program that says `said` of itself can stand for a pinned version.

    The first version in its words counts, to the minor version; previews of a version do not.
    """
    found = re.search(r"\bv?(\d+)\.(\d+)(?:\.\d+)?(?P<rest>\S*)", said)
    if found is None or re.match(r"-(alpha|beta|rc)", found["rest"]):
        return False
    return [found[1], found[2]] == pin.split(".")[:2]
