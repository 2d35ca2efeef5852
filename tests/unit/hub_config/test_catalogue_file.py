"""The catalogue's file: what is read, and every mistake with its line, key and mend."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub_config.platform.catalogue import GIB, Budget, Catalogue
from hub_config.platform.catalogue_file import load_catalogue, parse_catalogue
from hub_config.platform.errors import CatalogueError, Mistake
from hub_config.platform.quantities import format_size
from tests.factories import make_catalogue, make_file

Content = dict[str, Any]
SHIPPED = Path(__file__).parents[3] / "helm-values" / "catalogue.yaml"
GONE = object()


def put(content: Content, path: str, value: object) -> None:
    """Write ``value`` at ``classes.0.memory``; :data:`GONE` removes the key."""
    *way, last = path.split(".")
    place: Any = content
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    key = int(last) if last.isdigit() else last.replace("·", ".")
    if value is GONE:
        del place[key]
    else:
        place[key] = value


def write(**changes: object) -> str:
    """The valid file with changes, as text."""
    file = make_file()
    for path, value in changes.items():
        put(file["custom"]["catalogue"], path, value)
    return yaml.safe_dump(file, sort_keys=False)


def mistakes_of(text_or_mapping: str | Content) -> tuple[Mistake, ...]:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(text_or_mapping)
    return caught.value.mistakes


def test_shipped_catalogue_is_sound() -> None:
    catalogue = load_catalogue(SHIPPED)

    assert list(catalogue.images) == ["notebook", "stomics", "r", "gpu"]
    assert {
        c.slug: (c.cores, c.memory_bytes // GIB, c.gpus) for c in catalogue.classes.values()
    } == {
        "small": (0.8, 3, 0),
        "standard": (1.7, 6, 0),
        "large-memory": (30, 230, 0),
        "gpu": (7, 28, 1),
    }
    assert list(catalogue.groups) == ["spatial-lab", "gpu-users", "teaching"]
    assert catalogue.default_image.slug == "notebook"
    assert catalogue.default_class.slug == "standard"
    assert [c.slug for c in catalogue.classes.values() if "teaching" in c.groups] == [
        "small",
        "standard",
    ]
    assert catalogue.classes["gpu"].groups == ("gpu-users",)
    prices = [c.price for c in catalogue.classes.values()]
    assert all(price and price.currency and price.date and price.basis for price in prices)


def test_file_gives_every_field() -> None:
    assert parse_catalogue(write()) == make_catalogue()


@pytest.mark.parametrize("unwrap", [False, True], ids=["whole file", "its content"])
def test_mapping_gives_the_same(unwrap: bool) -> None:
    file = make_file()

    assert parse_catalogue(file["custom"]["catalogue"] if unwrap else file) == make_catalogue()


def test_registry_is_put_before_the_repositories() -> None:
    changes = {"registry": "host.example:5000/team/", "images.0.repository": "notebook"}
    with pytest.raises(CatalogueError, match="registry"):
        parse_catalogue(write(**changes))

    changes["registry"] = "host.example:5000/team"
    image = parse_catalogue(write(**changes)).images["notebook"]

    assert image.reference == "host.example:5000/team/notebook:1.0"


def test_digest_is_part_of_the_reference() -> None:
    digest = "sha256:" + "0a" * 32

    image = parse_catalogue(write(**{"images.0.digest": digest})).images["notebook"]

    assert image.reference == f"registry.example/notebook:1.0@{digest}"


def test_date_may_be_written_without_quotes() -> None:
    text = write().replace("'2026-11-01'", "2026-11-01")

    assert parse_catalogue(text) == make_catalogue()


def test_placement_follows_from_the_pool_unless_written() -> None:
    toleration = {"key": "example/dedicated", "operator": "Exists"}
    changes = {"classes.0.job": {"node_pool": "jobs", "tolerations": [toleration]}}

    written = parse_catalogue(write(**changes)).classes["standard"]

    assert written.session == make_catalogue().classes["standard"].session
    assert written.job.selector == {"example/pool": "jobs"}
    assert [t.operator for t in written.job.tolerations] == ["Exists"]


def test_selector_may_narrow_the_pool_by_what_machines_are() -> None:
    selector = {"example/pool": "jobs", "karpenter.k8s.aws/instance-gpu-name": "t4"}

    catalogue = parse_catalogue(write(**{"classes.0.job.selector": selector}))

    assert catalogue.classes["standard"].job.selector == selector


def test_a_group_may_have_a_budget_of_the_month() -> None:
    read = parse_catalogue(write(**{"groups.0.budget": {"month": 500, "currency": "EUR"}}))

    assert read.groups["lab"].budget == Budget(500, "EUR")
    assert parse_catalogue(write()).groups["lab"].budget is None


def test_a_gpu_that_is_shared_says_so_wherever_people_read_of_it() -> None:
    shared = parse_catalogue(write(**SHARED_GPU)).classes["standard"]

    assert (shared.gpus, shared.gpu_shared_by) == (1, 4)
    words = format_size(shared.cores, shared.memory_bytes, shared.gpus, shared.gpu_model)
    assert words.endswith(" and 1 GPU (NVIDIA T4, shared by up to 4)")


POOL_WITH_GPU = {
    "node_pools.1.instance_categories": ["g"],
    "node_pools.1.limits": {"cpu": 128, "memory": "1 TiB", "nvidia.com/gpu": 4},
}
FIRST = make_file()["custom"]["catalogue"]["classes"][0]
OF_SHARED_GPU = {"gpus": 1, "gpu_model": "NVIDIA T4", "gpu_shared_by": 4}
SHARED_GPU = {
    **POOL_WITH_GPU,
    "node_pools.0.instance_categories": ["g"],
    "node_pools.0.limits": {"cpu": 128, "memory": "1 TiB", "nvidia.com/gpu": 4},
    "groups.0.queue.capability.nvidia·com/gpu": 4,
    **{f"classes.0.{key}": value for key, value in OF_SHARED_GPU.items()},
}
OF_WHOLE_GPU = {"slug": "whole", "gpus": 1, "gpu_model": "NVIDIA T4", "default": False}
SECOND_DEFAULT = {**make_file()["custom"]["catalogue"]["classes"][0], "slug": "second"}

# changes of a valid file -> key of the mistake, what its line shows, what it says
POOLS = make_file()["custom"]["catalogue"]["node_pools"]
CASES: dict[str, tuple[dict[str, object], str, str, str]] = {
    # unknown keys, at every level
    "key at the top": (
        {"clases": []},
        "clases",
        "clases",
        "unknown key; allowed: registry, folders_image, images, node_pools, classes, groups",
    ),
    "key of an image": ({"images.0.size": 1}, "images.notebook.size", "size: 1", "unknown key"),
    "key of a pool": (
        {"node_pools.0.zone": "a"},
        "node_pools.sessions.zone",
        "zone",
        "unknown key",
    ),
    "key of a taint": (
        {"node_pools.0.taints.0.values": "a"},
        "node_pools.sessions.taints[0].values",
        "values: a",
        "unknown key; allowed: key, value, effect",
    ),
    "key of a class": (
        {"classes.0.memroy": "1 GiB"},
        "classes.standard.memroy",
        "memroy",
        "allowed: gpus, gpu_model, gpu_shared_by, slug, name, cores, memory,",
    ),
    "key of a placement": (
        {"classes.0.job.pool": "jobs"},
        "classes.standard.job.pool",
        "pool: jobs",
        "allowed: node_pool, selector, tolerations, spot",
    ),
    "spot for a session": (
        {"classes.0.session.spot": True},
        "classes.standard.session.spot",
        "spot: true",
        "allowed: node_pool, selector, tolerations",
    ),
    "key of a price": (
        {"classes.0.price.vat": 19},
        "classes.standard.price.vat",
        "vat: 19",
        "allowed: per_hour, currency, date, basis",
    ),
    "key of a group": ({"groups.0.quota": 1}, "groups.lab.quota", "quota: 1", "unknown key"),
    "key of a queue": (
        {"groups.0.queue.priority": 1},
        "groups.lab.queue.priority",
        "priority: 1",
        "allowed: weight, capability",
    ),
    "resource of a queue": (
        {"groups.0.queue.capability.disk": "1 GiB"},
        "groups.lab.queue.capability.disk",
        "disk: 1 GiB",
        "allowed: cpu, memory, nvidia.com/gpu",
    ),
    # missing
    "section missing": ({"groups": GONE}, "groups", "", "is missing"),
    "section empty": ({"images": []}, "images", "images: []", "must not be empty"),
    "class without cores": (
        {"classes.0.cores": GONE},
        "classes.standard.cores",
        "slug: standard",
        "is missing",
    ),
    "class with empty cores": (
        {"classes.0.cores": None},
        "classes.standard.cores",
        "slug: standard",
        "is missing",
    ),
    "class without groups": (
        {"classes.0.groups": []},
        "classes.standard.groups",
        "groups: []",
        "must not be empty",
    ),
    "image without architecture": (
        {"images.0.architectures": []},
        "images.notebook.architectures",
        "architectures: []",
        "must not be empty",
    ),
    "price without currency": (
        {"classes.0.price.currency": GONE},
        "classes.standard.price.currency",
        "price:",
        "is missing",
    ),
    "price without date": (
        {"classes.0.price.date": GONE},
        "classes.standard.price.date",
        "price:",
        "is missing",
    ),
    "gpu without model": (
        {**POOL_WITH_GPU, "classes.0.gpus": 1},
        "classes.standard.gpu_model",
        "slug: standard",
        "is missing",
    ),
    "shared without gpu": (
        {"classes.0.gpu_shared_by": 4},
        "classes.standard.gpu_shared_by",
        "gpu_shared_by: 4",
        "is for a class with gpus: 1, and this one has 0",
    ),
    "several gpus shared": (
        {**SHARED_GPU, "classes.0.gpus": 2},
        "classes.standard.gpu_shared_by",
        "gpu_shared_by: 4",
        "is for a class with gpus: 1, and this one has 2",
    ),
    "gpu shared by too many": (
        {**SHARED_GPU, "classes.0.gpu_shared_by": 17},
        "classes.standard.gpu_shared_by",
        "gpu_shared_by: 17",
        "must be at most 16",
    ),
    "gpus of a pool shared in two ways": (
        {**SHARED_GPU, "classes": [FIRST | OF_SHARED_GPU, FIRST | OF_WHOLE_GPU]},
        "classes.whole.gpu_shared_by",
        "slug: whole",
        "is 1, and 4 for standard, which has machines of jobs, too: write the same",
    ),
    # wrong kind of value
    "image is a text": ({"images.0": "notebook"}, "images[0]", "- notebook", "must be keys with"),
    "images are a mapping": ({"images": {"a": 1}}, "images", "images:", "must be a list, not keys"),
    "name is a number": (
        {"images.0.tag": 1.0},
        "images.notebook.tag",
        "tag: 1.0",
        'must be a text, not 1.0; put it in quotes, for example "1.0"',
    ),
    "name is empty": ({"images.0.name": " "}, "images.notebook.name", "name:", "must not be empty"),
    "flag is a word": (
        {"images.0.needs_gpu": "maybe"},
        "images.notebook.needs_gpu",
        "needs_gpu",
        "must be true or false, not 'maybe'",
    ),
    "cores with a unit": (
        {"classes.0.cores": "500m"},
        "classes.standard.cores",
        "cores: 500m",
        "must be a number without a unit",
    ),
    "cores are true": ({"classes.0.cores": True}, "classes.standard.cores", "cores", "not true"),
    "no cores": ({"classes.0.cores": 0}, "classes.standard.cores", "cores: 0", "at least 0.1"),
    "cores are no number": (
        {"classes.0.cores": float("nan")},
        "classes.standard.cores",
        "cores: .nan",
        "at least 0.1, not nan",
    ),
    "half a gpu": ({"classes.0.gpus": 0.5}, "classes.standard.gpus", "gpus", "a whole number"),
    "negative price": (
        {"classes.0.price.per_hour": -0.1},
        "classes.standard.price.per_hour",
        "per_hour: -0.1",
        "at least 0",
    ),
    "date is a word": (
        {"classes.0.price.date": "May"},
        "classes.standard.price.date",
        "date: May",
        "must be a date like 2026-11-24, not 'May'",
    ),
    "memory in decimal units": (
        {"classes.0.memory": "16 GB"},
        "classes.standard.memory",
        "memory: 16 GB",
        "did you mean 16 GiB?",
    ),
    "memory without unit": (
        {"classes.0.memory": 16},
        "classes.standard.memory",
        "memory: 16",
        "must be an amount with a unit like 16 GiB, not 16",
    ),
    "no memory": (
        {"classes.0.memory": "0 GiB"},
        "classes.standard.memory",
        "memory: 0 GiB",
        "must be over 0",
    ),
    "idle for a moment": (
        {"classes.0.idle_session": "9 min"},
        "classes.standard.idle_session",
        "idle_session",
        "must be at least 10 min",
    ),
    "time in weeks": (
        {"classes.0.longest_job": "2 weeks"},
        "classes.standard.longest_job",
        "longest_job",
        "Allowed units: s, min, h, d",
    ),
    "list with a number": (
        {"classes.0.groups": [1]},
        "classes.standard.groups[0]",
        "- 1",
        "must be a text, not 1",
    ),
    "group listed twice": (
        {"classes.0.groups": ["lab", "lab"]},
        "classes.standard.groups[1]",
        "- lab",
        "listed twice",
    ),
    # values that are not allowed
    "slug with capitals": (
        {"images.0.slug": "Note_book"},
        "images.Note_book.slug",
        "slug: Note_book",
        "'Note_book' is not allowed here: a slug has lower-case",
    ),
    "slug with two hyphens": (
        {"groups.0.slug": "a--b"},
        "groups.a--b.slug",
        "slug",
        "single hyphens",
    ),
    "slug used twice": (
        {"classes": [SECOND_DEFAULT, {**SECOND_DEFAULT, "default": False}]},
        "classes.second.slug",
        "slug: second",
        "used twice (first in line",
    ),
    "unknown group": (
        {"classes.0.groups": ["labs"]},
        "classes.standard.groups[0]",
        "- labs",
        "unknown value 'labs'; allowed: lab",
    ),
    "unknown pool": (
        {"classes.0.job.node_pool": "job"},
        "classes.standard.job.node_pool",
        "node_pool: job",
        "unknown value 'job'; allowed: sessions, jobs",
    ),
    "unknown architecture": (
        {"classes.0.architecture": "x86"},
        "classes.standard.architecture",
        "architecture: x86",
        "allowed: amd64, arm64",
    ),
    "unknown category": (
        {"node_pools.0.instance_categories": ["z"]},
        "node_pools.sessions.instance_categories[0]",
        "- z",
        "allowed: c, m, r, x, g, p",
    ),
    "unknown currency": (
        {"classes.0.price.currency": "DM"},
        "classes.standard.price.currency",
        "currency: DM",
        "allowed: EUR, USD",
    ),
    "repository with capitals": (
        {"images.0.repository": "Lab/x"},
        "images.notebook.repository",
        "repository",
        "like team/notebook",
    ),
    "digest cut off": (
        {"images.0.digest": "sha256:12"},
        "images.notebook.digest",
        "digest",
        "64 hexadecimal digits",
    ),
    "no name of a bucket": (
        {"groups.0.buckets": ["s3://data"], "groups.0.service_account": "lab"},
        "groups.lab.buckets[0]",
        "s3://data",
        "name of an S3 bucket",
    ),
    "bucket without account": (
        {"groups.0.buckets": ["data"]},
        "groups.lab.service_account",
        "slug: lab",
        "is missing",
    ),
    "budget of nothing": (
        {"groups.0.budget": {"month": 0, "currency": "EUR"}},
        "groups.lab.budget.month",
        "month: 0",
        "a number of at least 1, not 0",
    ),
    "budget in another currency than prices": (
        {"groups.0.budget": {"month": 500, "currency": "USD"}},
        "groups.lab.budget.currency",
        "currency: USD",
        "a machine of class standard costs EUR; budget and prices of a group's classes must have",
    ),
    "budget of a year": (
        {"groups.0.budget": {"month": 500, "currency": "EUR", "year": 6000}},
        "groups.lab.budget.year",
        "year: 6000",
        "unknown key",
    ),
    "weight too large": (
        {"groups.0.queue.weight": 70_000},
        "groups.lab.queue.weight",
        "weight",
        "at most 65535",
    ),
    "no label's value": (
        {"node_pools.0.labels": {"example/pool": "a b"}},
        "node_pools.sessions.labels.example/pool",
        "example/pool: a b",
        "no value of a Kubernetes label",
    ),
    "label is a truth": (
        {"node_pools.0.labels": {"gpu": True}},
        "node_pools.sessions.labels.gpu",
        "gpu: true",
        "in quotes",
    ),
    # what must agree
    "two defaults": (
        {"classes": [*make_file()["custom"]["catalogue"]["classes"], SECOND_DEFAULT]},
        "classes.second.default",
        "default: true",
        "a second default class: standard is the default already",
    ),
    "shared memory over memory": (
        {"classes.0.shared_memory": "8 GiB"},
        "classes.standard.shared_memory",
        "shared_memory",
        "more than memory",
    ),
    "pool of the other kind": (
        {"classes.0.job": {"node_pool": "sessions"}},
        "classes.standard.job.node_pool",
        "node_pool: sessions",
        "sessions is for sessions, not for jobs",
    ),
    "pool of the other architecture": (
        {"node_pools.1.architecture": "arm64"},
        "classes.standard.job.node_pool",
        "node_pool: jobs",
        "jobs has arm64 machines, the class is for amd64",
    ),
    "image of the other architecture": (
        {"images.0.architectures": ["arm64"]},
        "images.notebook",
        "slug: notebook",
        "no class can run this image: Notebook is not built for amd64",
    ),
    "selector without label": (
        {"classes.0.job.selector": {"example/pool": "fast"}},
        "classes.standard.job.selector.example/pool",
        "example/pool: fast",
        "jobs has no label example/pool=fast; its labels: example/pool=jobs",
    ),
    "selector of nothing": (
        {"classes.0.job.selector": {}},
        "classes.standard.job.selector",
        "selector: {}",
        "selects machines of sessions too",
    ),
    "selector of machines only": (
        {"classes.0.job.selector": {"karpenter.k8s.aws/instance-family": "m7i"}},
        "classes.standard.job.selector",
        "selector:",
        "selects machines of sessions too; select a label that only jobs has",
    ),
    "selector of the other architecture": (
        {"classes.0.job.selector": {"example/pool": "jobs", "kubernetes.io/arch": "arm64"}},
        "classes.standard.job.selector.kubernetes.io/arch",
        "kubernetes.io/arch: arm64",
        "jobs has amd64 machines",
    ),
    "taint not tolerated": (
        {"classes.0.job.tolerations": [{"key": "example/dedicated", "value": "jobs"}]},
        "classes.standard.job.tolerations",
        "tolerations:",
        "jobs has the taint example/dedicated=job:NoSchedule, which is not tolerated",
    ),
    "pool without taint": (
        {"node_pools.0.taints": GONE},
        "node_pools.sessions.taints",
        "slug: sessions",
        "is missing",
    ),
    "pool without label": (
        {"node_pools.0.labels": GONE},
        "node_pools.sessions.labels",
        "slug: sessions",
        "is missing",
    ),
    "taints of both kinds alike": (
        {"node_pools.1.taints.0.value": "session"},
        "node_pools.sessions.taints",
        "taints:",
        "the same as those of jobs",
    ),
    "session on spot": (
        {"node_pools.0.capacity_types": ["spot"]},
        "node_pools.sessions.capacity_types",
        "capacity_types",
        "sessions must not run on spot",
    ),
    "spot without spot machines": (
        {"classes.0.job.spot": True},
        "classes.standard.job.spot",
        "spot: true",
        "jobs has no spot machines, only on-demand",
    ),
    "gpu class on a pool without": (
        {"classes.0.gpus": 1, "classes.0.gpu_model": "T4"},
        "classes.standard.job.node_pool",
        "node_pool: jobs",
        "jobs has no GPUs, the class has 1 GPU",
    ),
    "gpu pool without limit": (
        {"node_pools.1.instance_categories": ["g"]},
        "node_pools.jobs.limits",
        "limits:",
        "needs a limit for nvidia.com/gpu",
    ),
    "gpu limit without gpus": (
        {"node_pools.1.limits.nvidia·com/gpu": 4},
        "node_pools.jobs.limits.nvidia.com/gpu",
        "nvidia.com/gpu: 4",
        "no instance category of this pool has GPUs; allowed with: g, p",
    ),
    "class that no machine has": (
        {"classes.0.cores": 16, "classes.0.memory": "1900 GiB"},
        "classes.standard.job.node_pool",
        "node_pool: jobs",
        "no machine of the categories m, r can give 16 cores and 1.9 TiB",
    ),
    "scratch larger than the machines' disks": (
        {"node_pools.1.disk": "63 GiB"},
        "classes.standard.job.node_pool",
        "node_pool: jobs",
        # 50 GiB, 4 for what is written elsewhere, and what the machine keeps.
        "needs machines with a disk of 63.5 GiB or more, those of jobs have 63 GiB",
    ),
    "pool without disk": (
        {"node_pools.1.disk": GONE},
        "node_pools.jobs.disk",
        "slug: jobs",
        "is missing",
    ),
    "family of another category": (
        {"node_pools.1.instance_families": ["m6i", "c6i"]},
        "node_pools.jobs.instance_families",
        "instance_families",
        "c6i is of none of the pool's categories, m, r",
    ),
    "no family": (
        {"node_pools.1.instance_families": ["m6i.large"]},
        "node_pools.jobs.instance_families[0]",
        "- m6i.large",
        "a family of EC2 instance types such as m6i",
    ),
    "class over the limits": (
        {"node_pools.1.limits.cpu": 1, "groups.0.queue.capability.cpu": 1},
        "classes.standard.job.node_pool",
        "node_pool: jobs",
        "more cpu than the limits of jobs allow",
    ),
    "queue over the pools": (
        {"groups.0.queue.capability.memory": "2 TiB"},
        "groups.lab.queue.capability.memory",
        "memory: 2 TiB",
        "2 TiB is more than all job pools may have (1 TiB)",
    ),
    "queue over the pools of its classes": (
        {
            "node_pools": [
                *POOLS,
                {**POOLS[1], "slug": "others", "labels": {"notebook-hpc/pool": "others"}},
            ],
            "groups.0.queue.capability.memory": "2 TiB",
        },
        "groups.lab.queue.capability.memory",
        "memory: 2 TiB",
        "2 TiB can never be reached: the group's classes are of jobs, which may have 1 TiB; write"
        " at most that, raise the pool's limit, or give the group a class of another pool",
    ),
    "class over the queue": (
        {"groups.0.queue.capability.cpu": 1},
        "groups.lab.queue.capability",
        "capability:",
        "a job of class standard would wait for ever: it needs 2 of cpu, the queue has 1",
    ),
    "group without class": (
        {
            "groups": [
                *make_file()["custom"]["catalogue"]["groups"],
                {**make_file()["custom"]["catalogue"]["groups"][0], "slug": "other"},
            ]
        },
        "groups.other",
        "slug: other",
        "no class may be used by this group",
    ),
}


@pytest.mark.parametrize(("changes", "key", "line", "message"), CASES.values(), ids=CASES.keys())
def test_mistake_is_refused_with_place_and_mend(
    changes: dict[str, object], key: str, line: str, message: str
) -> None:
    text = write(**changes)

    found = [mistake for mistake in mistakes_of(text) if mistake.key == key]

    assert [m for m in found if message in m.message], [str(m) for m in mistakes_of(text)]
    if line:
        assert line in text.splitlines()[found[0].line - 1]


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    text = write(
        **{
            "images.0.tag": GONE,
            "classes.0.memory": "16 GB",
            "classes.0.cores": GONE,
            "classes.0.groups": ["labs"],
            "groups.0.queue.weight": 0,
        }
    )

    found = mistakes_of(text)

    assert [m.key for m in found] == [
        "images.notebook.tag",
        "classes.standard.cores",
        "classes.standard.memory",
        "classes.standard.groups[0]",
        "groups.lab.queue.weight",
    ]
    assert all(m.line for m in found)


def test_one_mistake_makes_no_second_one() -> None:
    # A class that cannot be read is still there for whoever refers to its group.
    for path in ("classes.0.cores", "groups.0.queue.weight", "node_pools.0.kind", "images.0.name"):
        assert len(mistakes_of(write(**{path: GONE}))) == 1, path


def test_text_of_the_error_is_one_line_per_mistake(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(write(**{"classes.0.memory": "16 GB", "a\nb": 1}))

    with pytest.raises(CatalogueError) as caught:
        load_catalogue(path)

    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{path}:")
    assert ": classes.standard.memory: unknown unit 'GB' in '16 GB'" in lines[0]


UNREADABLE: dict[str, tuple[str | bytes, int, str]] = {
    "nothing": ("", 1, "must be keys with values, not nothing"),
    "a word": ("catalogue", 1, "must be keys with values, not 'catalogue'"),
    "a list": ("- a\n- b\n", 1, "must be keys with values, not a list"),
    "a tab": ("custom:\n\tcatalogue: 1\n", 2, "not valid YAML"),
    "an open bracket": ("custom:\n  catalogue: [1, 2\n", 3, "not valid YAML"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, "not valid YAML"),
    "an unknown alias": ("custom: *other\n", 1, "not valid YAML: found undefined alias"),
    "a tag": ("custom: !!python/object:os.system {}\n", 1, "the tag .*os.system is not allowed"),
    "a tagged text": ("custom: !secret abc\n", 1, "cannot read 'abc'; put it in quotes"),
    "a date that is none": ("custom: 2026-13-45\n", 1, "cannot read '2026-13-45'"),
    "a control letter": ("custom: \x00\n", 0, "not valid YAML"),
    "a circle": ("custom: &a\n  catalogue: *a\n", 1, "refers to what it is part of"),
    "deep nesting": ("[" * 20_000, 0, "nested too deeply|not valid YAML"),
    "no UTF-8": (b"custom: \xff\xfe", 0, "is not UTF-8 text"),
    "an unknown top": ("custom: {catalogue: {}}\nother: 1\n", 2, "unknown key; allowed: custom"),
    "a key that is a list": ("? [a]\n: 1\n", 1, "a key must be a word"),
}


@pytest.mark.parametrize(("content", "line", "message"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_catalogue_at_all_is_refused(
    content: str | bytes, line: int, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(CatalogueError, match=message) as caught:
        load_catalogue(path)

    assert line in [mistake.line for mistake in caught.value.mistakes]


def test_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"none\.yaml: \(file\): cannot be read: No such file"):
        load_catalogue(tmp_path / "none.yaml")


def test_key_written_twice_names_both_lines() -> None:
    text = write().replace("  cores: 2\n", "  cores: 2\n      cores: 4\n")
    first = next(i for i, line in enumerate(text.splitlines(), 1) if "cores: 2" in line)

    (mistake,) = mistakes_of(text)

    assert mistake.message == f"written twice (first in line {first}); keep one"
    assert mistake.line == first + 1
    assert mistake.key.endswith(".cores")


def test_aliases_may_be_used_and_do_not_multiply() -> None:
    text = write().replace("      groups:\n      - lab\n", "      groups: &all [lab]\n")
    assert "&all" in text
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(20)
    )

    assert parse_catalogue(text) == make_catalogue()
    assert "unknown key" in mistakes_of(bomb)[-1].message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["slug", "key"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths_of(value: object, at: str = "") -> list[str]:
    """Every path in a content."""
    items: list[tuple[str, object]] = []
    if isinstance(value, dict):
        items = [(key.replace(".", "·"), inner) for key, inner in value.items()]
    elif isinstance(value, list):
        items = [(str(number), inner) for number, inner in enumerate(value)]
    below = [path for key, inner in items for path in paths_of(inner, f"{at}.{key}" if at else key)]
    return ([at] if at else []) + below


PATHS = paths_of(make_file()["custom"]["catalogue"])


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PATHS), JSON | st.integers(min_value=10**18, max_value=10**30))
def test_whatever_stands_there_is_read_or_refused(path: str, value: object) -> None:
    file = make_file()
    put(file["custom"]["catalogue"], path, value)

    for attempt in (lambda: parse_catalogue(file), lambda: parse_catalogue(json.dumps(file))):
        assert outcome(attempt)


@settings(max_examples=60)
@given(st.integers(0, 2000), st.text(max_size=5), st.integers(0, 20))
def test_any_damage_to_the_text_is_read_or_refused(start: int, insert: str, cut: int) -> None:
    text = write()

    assert outcome(lambda: parse_catalogue(text[:start] + insert + text[start + cut :]))


def outcome(attempt: Callable[[], Catalogue]) -> Catalogue | CatalogueError | None:
    """What an attempt gave; nothing when it failed without saying why."""
    try:
        return attempt()
    except CatalogueError as error:
        return error if error.mistakes else None
