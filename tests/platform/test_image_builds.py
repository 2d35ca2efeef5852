"""How images are built: the builder that is taken, what a build is given, and what it may see."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from images._tool.build import name_image, parse_order
from images._tool.context import (
    fill_context,
    hash_context,
    list_examples,
    list_images,
    read_packages,
)
from images._tool.engines import Build, find_engine
from images._tool.registry_access import (
    build_apt_configuration,
    build_settings,
    find_ca_bundle,
    read_pip_configuration,
    write_secrets,
)
from images._tool.steps import StepFailed
from tests.platform.checkout import ROOT


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole search path."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}")
    return folder


def write_program(folder: Path, name: str, does: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{does}\n")
    (folder / name).chmod(0o755)


def test_the_first_builder_whose_engine_answers_is_taken(programs: Path) -> None:
    # A client of docker without an engine is on many machines.
    write_program(programs, "docker", 'echo "Cannot connect to the daemon" >&2; exit 1')
    write_program(programs, "podman", "exit 0")
    write_program(programs, "buildah", "exit 0")
    assert find_engine().name == "podman"
    assert find_engine("buildah").name == "buildah"


def test_each_builder_that_does_not_answer_says_why(programs: Path) -> None:
    write_program(programs, "docker", 'echo "Cannot connect to the daemon" >&2; exit 1')
    write_program(programs, "buildah", "exit 3")
    with pytest.raises(StepFailed) as failed:
        find_engine()
    assert str(failed.value).splitlines() == [
        "No builder of images answers:",
        "  docker: Cannot connect to the daemon",
        "  podman: is not installed",
        "  buildah: `buildah info` ended with 3",
    ]
    with pytest.raises(StepFailed, match="'kaniko': one of docker, podman, buildah"):
        find_engine("kaniko")


def test_a_failed_build_shows_the_end_of_what_was_said(programs: Path, tmp_path: Path) -> None:
    write_program(programs, "podman", 'test "$1" = info || { echo no space left; exit 2; }')
    lines: list[str] = []
    with pytest.raises(StepFailed, match=r"podman could not build the image \(2\):\nno space left"):
        find_engine().build(Build("localhost/x:1", tmp_path, {}, {}, {}), lines.append)
    assert lines == ["no space left"]


def test_a_full_disk_is_told_in_one_line(programs: Path, tmp_path: Path) -> None:
    said = "Error: committing layer: write /layer.tar: no space left on device"
    write_program(programs, "buildah", f'test "$1" = info || {{ echo "{said}" >&2; exit 125; }}')
    build = Build("localhost/x:1", tmp_path, {}, {}, {})
    with pytest.raises(StepFailed, match=r"^there is no room left on the disk for buildah: free"):
        find_engine().build(build, lambda line: None)


def test_a_secret_is_named_and_not_written_into_the_command(programs: Path, tmp_path: Path) -> None:
    said = tmp_path / "said"
    write_program(programs, "docker", f'echo "$@" >> {said}')
    secret = tmp_path / "settings"
    secret.write_text("PIP_INDEX_URL=hidden\n")
    build = Build(
        "localhost/x:1", tmp_path, {"BASE": "base:1"}, {"title": "x"}, {"settings": secret}
    )
    find_engine().build(build, lambda line: None)
    words = said.read_text().splitlines()[-1]
    assert f"--secret id=settings,src={secret}" in words
    assert "--build-arg BASE=base:1" in words
    assert "hidden" not in words


@pytest.mark.parametrize("name", ["docker", "podman", "buildah"])
def test_a_script_is_readable_in_the_image_where_selinux_is_on(
    programs: Path, tmp_path: Path, name: str
) -> None:
    said = tmp_path / "said"
    write_program(programs, name, f'echo "$@" >> {said}; echo container-7')
    find_engine(name).verify("localhost/x:1", tmp_path, "verify.py")
    (run,) = [line for line in said.read_text().splitlines() if line.startswith("run ")]
    # Z: labelled for this container, as podman on Fedora wants it; docker knows it, too.
    assert f"--volume {tmp_path}:/verify:ro,Z " in run
    assert run.endswith("python -s -B /verify/verify.py")


def test_settings_of_this_machines_clients_reach_a_build() -> None:
    environ = {
        "https_proxy": "proxy:3128",
        "PIP_TRUSTED_HOST": "a b",
        "SECRET": "no",
        "PATH": "/bin",
    }
    pip = {"index-url": "index/simple", "trusted-host": "c", "cert": "/ca.pem", "user": "yes"}
    assert build_settings(environ, pip).splitlines() == [
        "PIP_INDEX_URL=index/simple",
        "PIP_TRUSTED_HOST='a b'",
        # uv does not read pip's files.
        "UV_DEFAULT_INDEX=index/simple",
        "https_proxy=proxy:3128",
    ]
    assert "UV_DEFAULT_INDEX=own" in build_settings({"UV_DEFAULT_INDEX": "own"}, pip)


def test_pip_is_understood_where_its_files_are(tmp_path: Path) -> None:
    named = tmp_path / "named.conf"
    named.write_text("[global]\nindex-url = one\ntimeout = 7\n[install]\nindex-url = two\n")
    home = tmp_path / "home" / ".config" / "pip"
    home.mkdir(parents=True)
    (home / "pip.conf").write_text("[global]\ntimeout = 3\nproxy = here\n")
    environ = {"PIP_CONFIG_FILE": str(named), "HOME": str(tmp_path / "home")}
    found = read_pip_configuration(environ)
    assert {key: found[key] for key in ("index-url", "timeout", "proxy")} == {
        "index-url": "two",
        "timeout": "7",
        "proxy": "here",
    }
    assert read_pip_configuration({**environ, "PIP_CONFIG_FILE": "/dev/null"}) == {}
    named.write_text("no section = here\n")
    assert read_pip_configuration(environ)["proxy"] == "here"


def test_apt_gets_this_machines_proxies_and_certificates() -> None:
    dump = (
        'Acquire "";\nAcquire::http::Proxy "proxy";\nAcquire::https::CAInfo "/here.pem";\n'
        'Acquire::Check-Date "false";\nAcquire::Languages "none";\nDPkg::Options "x";\n'
    )
    assert build_apt_configuration(dump, has_bundle=True).splitlines() == [
        'Acquire::http::Proxy "proxy";',
        'Acquire::Check-Date "false";',
        'Acquire::https::CAInfo "/run/secrets/ca";',
    ]
    assert build_apt_configuration("", has_bundle=False) == ""


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"])
def test_the_bundle_is_the_one_that_clients_are_told(variable: str, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificates")
    environ: Mapping[str, str] = {variable: str(bundle), "CURL_CA_BUNDLE": "/nowhere"}
    assert find_ca_bundle(environ, {}) == bundle
    secrets = write_secrets(tmp_path, environ)
    assert secrets["ca"].read_text() == "certificates"
    assert "SSL_CERT_FILE=/run/secrets/ca\n" in secrets["settings"].read_text()
    assert {path.stat().st_mode & 0o777 for path in secrets.values()} == {0o600}


def test_a_build_sees_what_its_image_needs_and_nothing_else(tmp_path: Path) -> None:
    wheel = tmp_path / "offline_jobs-1-py3-none-any.whl"
    wheel.touch()
    folder = tmp_path / "context"
    folder.mkdir()
    fill_context(ROOT, "notebook", [wheel], folder)
    assert {path.name for path in folder.iterdir()} == {
        "Dockerfile",
        "image",
        "inside",
        "jupyter",
        "locks",
        "wheels",
    }
    locks = {path.name: path.read_bytes() for path in (folder / "locks").iterdir()}
    assert locks == {
        "requirements-uv.txt": (ROOT / "requirements-uv.txt").read_bytes(),
        "requirements.txt": (ROOT / "images" / "notebook" / "requirements.txt").read_bytes(),
    }
    assert not list(folder.glob("**/README.md"))
    # A change of what verifies an image makes no step of its build anew.
    assert {path.suffix for path in (folder / "inside").iterdir()} == {".sh"}
    before = hash_context(folder)
    (folder / "image" / "start.sh").write_text("changed")
    assert hash_context(folder) != before


def test_an_image_without_a_dockerfile_is_notebook_with_its_own_files_laid_over(
    tmp_path: Path,
) -> None:
    root, folder = tmp_path / "root", tmp_path / "context"
    for name in ("notebook", "_inside", "jupyter"):
        shutil.copytree(ROOT / "images" / name, root / "images" / name)
    shutil.copy(ROOT / "requirements-uv.txt", root)
    own = root / "images" / "own"
    (own / "examples").mkdir(parents=True)
    (own / "examples" / "4-own.ipynb").write_text("{}")
    (own / "requirements.txt").write_text("own==1")
    (own / "packages.txt").write_text("r-base-core  # R\nlibgsl27 less\n")
    folder.mkdir()
    fill_context(root, "own", [], folder)
    model = (ROOT / "images" / "notebook" / "Dockerfile").read_bytes()
    assert (folder / "Dockerfile").read_bytes() == model
    assert (folder / "locks" / "requirements.txt").read_text() == "own==1"
    examples = {path.name for path in (folder / "image" / "examples").iterdir()}
    assert examples > {"4-own.ipynb"}
    # As an environment of `make run`, too.
    beside = {path.name for source in list_examples(root, "own") for path in source.iterdir()}
    assert beside == examples
    assert (folder / "image" / "start.sh").exists()
    assert read_packages(folder) == ["r-base-core", "libgsl27", "less"]
    before = hash_context(folder)
    (folder / "image" / "packages.txt").write_text("")
    assert read_packages(folder) == []
    assert hash_context(folder) != before


def test_an_unknown_image_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"no image 'nowhere'.*: folders, gpu, hub, jobs"):
        fill_context(ROOT, "nowhere", [], tmp_path)


def test_an_image_is_named_as_the_catalogue_names_it() -> None:
    assert name_image(ROOT, "notebook") == "localhost/notebook-hpc/notebook:0.1.0"
    assert name_image(ROOT, "hub") == "localhost/notebook-hpc/hub:0.1.0"
    assert set(list_images(ROOT)) >= {"folders", "hub", "jobs-service", "notebook", "stomics"}


def test_all_images_are_built_where_none_is_named() -> None:
    assert parse_order([]).images == ()
    assert parse_order(["--base", "", "--engine", "", "hub"]).images == ("hub",)
