"""Our images, built from their Dockerfiles: who runs in them, with what rights, what is left out.

Each image's own `verify.py` ran inside it when it was built; these tests read the archive.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from packageurl import PackageURL

from images._inside.checks import normalize
from images._tool.build import name_image
from images._tool.context import fill_context
from images._tool.layers import LAYERS, read_layers
from images._tool.registry_access import build_settings, read_pip_configuration
from images._tool.stamps import hash_tree
from images._tool.tools import find_places
from tests.images.building import CANARIES, Workshop
from tests.images.saved import SavedImage

# Building all images takes minutes where nothing is cached.
pytestmark = pytest.mark.timeout(1800)
ROOT = Path(__file__).resolve().parents[2]
EXTRA_CERTIFICATES = Path("/usr/local/share/ca-certificates")


def test_the_image_has_the_name_that_pods_ask_for(saved: SavedImage) -> None:
    image = saved.path.name.rsplit("-", 1)[0]
    assert saved.manifest["RepoTags"] == [name_image(ROOT, image)]


def test_it_was_verified_from_inside(saved: SavedImage) -> None:
    said = saved.path.with_suffix(".txt").read_text(encoding="utf-8")
    for line in ("runs as jovyan, 1000:100", "init process hides its variables"):
        assert line in said
    assert "WRONG" not in said


def test_its_environment_was_verified_from_inside(environment: SavedImage) -> None:
    assert "as locked" in environment.path.with_suffix(".txt").read_text(encoding="utf-8")


def test_it_runs_as_a_plain_user_under_an_init_process(saved: SavedImage) -> None:
    assert saved.settings["User"] == "1000:100"
    # In `notebook` a script starts the init process, since PID 1 has to hide its variables there.
    assert saved.settings["Entrypoint"] in (["/usr/bin/tini", "--"], ["/usr/local/bin/start"])
    assert saved.settings["Cmd"]
    (user,) = re.findall(r"^jovyan:.*$", saved.read("/etc/passwd"), re.M)
    assert user == "jovyan:x:1000:100::/home/jovyan:/bin/bash"
    home = saved.files["/home/jovyan"]
    assert (home.uid, home.gid) == (1000, 100)


def test_its_init_process_may_be_run_but_not_be_read(saved: SavedImage) -> None:
    # Else everything in a pod could read the variables that PID 1 was started with.
    assert stat.S_IMODE(saved.files["/usr/bin/tini"].mode) == 0o711
    assert saved.files["/usr/bin/tini"].uid == 0


def test_no_file_gives_rights_and_nothing_but_folders_can_be_written(saved: SavedImage) -> None:
    rights = stat.S_ISUID | stat.S_ISGID
    files = {path: each for path, each in saved.files.items() if each.isfile() or each.islnk()}
    assert len(files) > 1000
    assert not [path for path, each in files.items() if each.mode & rights]
    assert not [path for path, each in files.items() if each.mode & stat.S_IWOTH]
    assert not [path for path, each in files.items() if "capability" in str(each.pax_headers)]


def test_nothing_that_the_build_was_given_is_left_anywhere(saved: SavedImage) -> None:
    secrets = set(CANARIES.values())
    for line in build_settings(os.environ, read_pip_configuration(os.environ)).splitlines():
        name, _, value = line.partition("=")
        if name.endswith(("_PROXY", "_proxy", "INDEX_URL", "_INDEX", "_HOST")):
            secrets.add(value.strip("'"))
    for certificate in EXTRA_CERTIFICATES.glob("**/*.crt"):
        secrets.add(certificate.read_text(encoding="utf-8").splitlines()[2])
    assert saved.find_text(secrets) == set()
    names = {entry.split("=")[0] for entry in saved.settings["Env"]}
    build = re.compile(r"(?i)(pip|uv|ssl|apt)_|.*(_proxy|ca_bundle)")
    assert not {name for name in names if build.match(name)}
    assert not [path for path in saved.files if path.startswith("/run/secrets/")]


def test_the_search_finds_what_a_careless_build_leaves(tmp_path: Path) -> None:
    # The same secrets, handed to a build in the same way, that writes one of them into its layer.
    workshop = Workshop(find_places(os.environ))
    (tmp_path / "Dockerfile").write_text(
        "ARG BASE\nFROM ${BASE}\n"
        "RUN --mount=type=bind,source=inside,target=/inside --mount=type=secret,id=settings"
        " --mount=type=secret,id=ca sh /inside/with_settings.sh"
        ' sh -c \'echo "$PIP_TRUSTED_HOST" > /kept; tail -n 1 "$SSL_CERT_FILE" >> /kept\'\n'
    )
    with workshop.hold():
        archive = workshop.build_folder(tmp_path)
    assert SavedImage(archive).find_text(CANARIES.values()) == set(CANARIES.values())


def test_a_change_of_our_code_changes_one_small_layer(environment: SavedImage) -> None:
    # A machine that had the image before fetches this layer only.
    own = re.compile(r"/(offline_jobs|notebook_hpc|hub_config|stereo_seq(_readers)?)[/-]")
    layers = environment.list_layers()
    *of_packages, last = [each for each in layers if any("/site-packages/" in p for p in each)]
    assert last is layers[-1]
    # One, or those that the image asks for and one with all other packages.
    image = environment.path.name.rsplit("-", 1)[0]
    text = "".join(p.read_text() for p in (ROOT / "images" / image).glob(LAYERS))
    assert len(of_packages) == len(read_layers(text)) + 1
    # No file is stored twice.
    files = [path for each in of_packages for path in each]
    assert len(files) == len({*files})
    assert not [path for path in last if "/site-packages/" in path and not own.search(path)]
    assert not [path for each in layers[:-1] for path in each if own.search(path)]


def test_a_machine_that_had_it_before_fetches_megabytes(environment: SavedImage) -> None:
    assert len(environment.compress_last_layer()) < 5e6


def test_it_says_what_it_is(saved: SavedImage) -> None:
    labels = saved.settings["Labels"]
    said = {key.removeprefix("org.opencontainers.image."): value for key, value in labels.items()}
    assert said["title"] == saved.path.name.rsplit("-", 1)[0]
    assert said["licenses"] == "Apache-2.0"
    assert saved.manifest["RepoTags"][0].endswith(f":{said['version']}")
    assert said["base.name"] == Workshop(find_places(os.environ)).name_base()
    assert said["description"].endswith(".")
    # Two builds of one content are one image, and a registry takes it for that.
    assert not said.keys() & {"created", "revision"}


def test_its_bill_of_materials_names_all_that_is_in_it(saved: SavedImage) -> None:
    bill = json.loads(saved.path.with_suffix(".cdx.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    records = saved.read("/var/lib/dpkg/status").strip().split("\n\n")
    fields = [dict(re.findall(r"^(\S+): (.+)$", each, re.M)) for each in records]
    packages = {(each["Package"], each["Version"]) for each in fields}
    found = [PackageURL.from_string(each["purl"]) for each in bill["components"]]
    named = {(each.name, each.version) for each in found if each.type == "deb"}
    assert len(packages) > 50
    assert named == packages
    inside = re.compile(r"-packages/([^/]+)-([^-/]+)\.dist-info/METADATA$")
    matches = filter(None, map(inside.search, saved.files))
    distributions = {(normalize(match[1]), match[2]) for match in matches}
    assert {(normalize(each.name), each.version) for each in found if each.type == "pypi"} == (
        distributions
    )


def test_no_step_is_kept_when_a_script_that_it_mounts_has_changed(saved: SavedImage) -> None:
    # buildah 1.28 looks at the instruction and its arguments only.
    scripts = hash_tree(ROOT / "images" / "_inside", ("*.sh",))
    assert f"INSIDE={scripts}" in saved.find_step("/inside/finish.sh")


def test_no_environment_is_kept_when_its_lock_has_changed(
    environment: SavedImage, tmp_path: Path
) -> None:
    fill_context(ROOT, environment.path.name.rsplit("-", 1)[0], [], tmp_path)
    step = environment.find_step("/inside/build_environment.sh")
    assert f"LOCKS={hash_tree(tmp_path / 'locks', ('*',))}" in step


def test_the_service_has_no_notebook_environment(service: SavedImage) -> None:
    packages = {
        match[1].lower()
        for path in service.files
        if (match := re.search(r"/site-packages/([\w.]+)-[^/]+\.dist-info$", path))
    }
    assert {"fastapi", "sqlalchemy", "offline_jobs", "notebook_hpc"} <= packages
    unwanted = {"jupyterlab", "jupyter_server", "ipykernel", "ipython", "notebook", "jupyterhub"}
    assert not packages & unwanted
    assert not [path for path in service.files if "/kernels/" in path]


def test_our_files_name_no_registry() -> None:
    hosts = re.compile(r"\b(docker|quay|ghcr|gcr|public\.ecr)\.(io|aws|com)\b|\w://")
    found = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "images"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    files = [ROOT / name for name in found if Path(name).suffix in ("", ".sh", ".in", ".json")]
    assert len([path for path in files if path.name == "Dockerfile"]) == 4
    assert not [path for path in files if hosts.search(path.read_text(encoding="utf-8"))]
