"""`make new-image`: all of an image or nothing of it, and every mistake in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hub_config.platform.catalogue_file import load_catalogue, parse_catalogue
from images._inside import session_checks
from images._inside.checks import Wrong
from images._tool.context import (
    fill_context,
    fill_verification,
    list_chain,
    list_sources,
    read_packages,
)
from images._tool.lock import read_pins
from images._tool.new_image import (
    CATALOGUE,
    Plan,
    add_entry,
    leave_out,
    list_bases,
    main,
    make_image,
    plan_image,
    word_refusal,
    write_requirements,
)
from images._tool.steps import StepFailed
from images._tool.tools import Places, find_places
from offline_jobs.environments.files import FileRefused
from tests.platform.checkout import ROOT

USERS_IMAGES = ("notebook", "stomics")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with what images are made of."""
    root = tmp_path / "root"
    for name in (*USERS_IMAGES, "hub", "_inside", "jupyter"):
        shutil.copytree(ROOT / "images" / name, root / "images" / name)
    for file in (*ROOT.glob("requirements*.in"), *ROOT.glob("requirements*.txt")):
        shutil.copy(file, root)
    (root / CATALOGUE).parent.mkdir()
    shutil.copy(ROOT / CATALOGUE, root / CATALOGUE)
    return root


def list_all(root: Path) -> list[str]:
    """List all files of a checkout."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "base", "words"),
    [
        ("My-Lab", "notebook", "NAME=My-Lab cannot name an image: a slug has lower-case letters"),
        ("a_b", "notebook", "NAME=a_b cannot name an image"),
        ("../x", "notebook", "cannot name an image"),
        ("", "notebook", "NAME= cannot name an image"),
        ("a" * 33, "notebook", "at most 32"),
        ("stomics", "notebook", "there is an images/stomics already"),
        ("platform", "notebook", "already"),
        ("gpu", "notebook", "the catalogue has an image gpu already"),
        ("own", "nowhere", "FROM=nowhere is no image to begin from: notebook, stomics"),
        ("own", "hub", "FROM=hub is no image to begin from"),
    ],
)
def test_a_wrong_order_is_refused_in_one_line(root: Path, name: str, base: str, words: str) -> None:
    with pytest.raises(StepFailed) as caught:
        plan_image(root, name, base, None)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def plan_with(root: Path, name: str, text: str) -> Plan:
    file = root / name
    file.write_text(text)
    return plan_image(root, "own", "notebook", file)


def test_requirements_are_taken_without_comments_and_hashes(root: Path) -> None:
    text = "# a list\ntqdm>=4  # bars\n\nnumpy[x]==2 ; python_version > '3' \\\n  --hash=sha256:a\n"
    plan = plan_with(root, "wanted.txt", text)
    assert plan.requirements == ("tqdm>=4", "numpy[x]==2 ; python_version > '3'")
    assert write_requirements(plan).splitlines()[:2] == [
        "# Image `own`: all of image `notebook`, and what wanted.txt asks for.",
        "-r ../notebook/requirements.in",
    ]


@pytest.mark.parametrize("line", ["-e .", "-r other.txt", "x @ https://a.b/c.whl", "./x.whl"])
def test_what_a_lock_cannot_hold_is_refused(root: Path, line: str) -> None:
    with pytest.raises(StepFailed, match="cannot be locked: an image takes packages by name"):
        plan_with(root, "wanted.txt", f"tqdm\n{line}\n")


def test_a_file_that_cannot_be_read_is_refused(root: Path) -> None:
    for name in ("gone.txt", "gone.yml"):
        with pytest.raises((StepFailed, FileRefused), match=f"{name} cannot be read: No such"):
            plan_image(root, "own", "notebook", root / name)
    with pytest.raises(FileRefused, match=r"environment\.yml cannot be read as YAML"):
        plan_with(root, "environment.yml", "dependencies: [")
    (root / "bytes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(StepFailed, match="is no text"):
        plan_image(root, "own", "notebook", root / "bytes.txt")


def test_a_conda_file_is_taken_with_what_it_names_besides(root: Path) -> None:
    plan = plan_with(root, "environment.yml", "dependencies: [python=3.12, tqdm, samtools]")
    assert (plan.requirements, plan.left_out) == (("tqdm",), ("samtools",))
    assert write_requirements(plan).endswith("can go into packages.txt:\n#   samtools\n")
    with pytest.raises(StepFailed, match=r"asks for Python 3\.9, and images have 3\.11 or newer"):
        plan_with(root, "environment.yml", "dependencies: [python=3.9.7]")


def test_the_entry_comes_after_its_base_and_all_else_stays() -> None:
    text = (ROOT / CATALOGUE).read_text(encoding="utf-8")
    known = parse_catalogue(text).images
    plan = Plan("own-lab", "notebook", ("a>=1", "b", "c", "d", "e"), (), "wanted.txt")
    added = add_entry(text, plan, known["notebook"])
    entry = (
        "\n"
        "      - slug: own-lab\n"
        "        name: Own lab\n"
        "        description: All of image Python notebook with a, b, c, d and more.\n"
        "        repository: notebook-hpc/own-lab\n"
        '        tag: "0.1.0"\n'
        '        digest: ""\n'
        "        architectures: [amd64]\n"
        "        kernels: [python3]\n"
    )
    assert added.count(entry) == 1
    assert added.replace(entry, "") == text
    slugs = list(parse_catalogue(added).images)
    assert slugs.index("own-lab") == slugs.index("notebook") + 1
    assert parse_catalogue(added).images.keys() == known.keys() | {"own-lab"}


def test_an_image_for_gpus_begets_one() -> None:
    text = (ROOT / CATALOGUE).read_text(encoding="utf-8")
    base = parse_catalogue(text).images["gpu"]
    added = parse_catalogue(add_entry(text, Plan("own", "gpu"), base)).images["own"]
    assert added.needs_gpu
    assert not added.default


def test_a_base_without_an_entry_and_a_catalogue_in_another_form() -> None:
    text = (ROOT / CATALOGUE).read_text(encoding="utf-8")
    assert "own" in parse_catalogue(add_entry(text, Plan("own", "stomics"), None)).images
    with pytest.raises(StepFailed, match="add the image by hand"):
        add_entry("custom: {catalogue: {images: []}}", Plan("own", "stomics"), None)


def test_an_image_is_there_whole_with_what_the_index_has_not_named(root: Path) -> None:
    places = Places(root, find_places(os.environ).cache)
    text = "dependencies: [tqdm, samtools, nosuch-package-of-anybody]"
    file = root / "environment.yml"
    file.write_text(text)
    (root / "images" / "notebook" / "packages.txt").write_text("less\n")
    plan = make_image(places, plan_image(root, "own", "notebook", file))

    assert plan.left_out == ("samtools", "nosuch-package-of-anybody")
    pins = read_pins(root / "images" / "own" / "requirements.txt")
    held = read_pins(ROOT / "images" / "notebook" / "requirements.txt")
    assert {name: pins[name] for name in held} == held
    assert "tqdm" in pins
    assert "own" in load_catalogue(root / CATALOGUE).images
    assert list((root / "build").iterdir()) == []

    # It builds: all that a build and its verification get is there.
    (root / "images" / "own" / "packages.txt").write_text("samtools # aligns\n")
    context, verification = root / "context", root / "verification"
    context.mkdir()
    verification.mkdir()
    fill_context(root, "own", [], context)
    fill_verification(root, "own", verification)
    assert read_packages(context) == ["less", "samtools"]
    assert (verification / "images" / "notebook" / "verify.py").exists()
    assert (verification / "images" / "own" / "requirements.in").exists()
    compile((verification / "verify.py").read_text(), "verify.py", "exec")


def test_what_cannot_be_resolved_leaves_nothing(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    places = Places(root, find_places(os.environ).cache)
    before = list_all(root)
    with pytest.raises(StepFailed) as caught:
        make_image(places, Plan("own", "notebook", ("pandas==1.5",), (), "wanted.txt"))
    assert str(caught.value).startswith(
        "wanted.txt does not go together with what the images have now (their locks hold it): "
    )
    assert "pandas==1.5" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list_all(root) == before


def test_a_package_that_nobody_has_is_named() -> None:
    said = (
        "error: No solution found when resolving dependencies\n"
        "  cause: Because tqmd was not found in the package registry and you require tqmd, we"
    )
    plan = Plan("own", "notebook", ("tqmd>=1",), (), "wanted.txt")
    assert word_refusal(plan, said) == (
        "wanted.txt cannot be resolved: the package index has no tqmd: see how it is spelt"
    )
    assert leave_out(plan, "tqmd") is None
    conda = Plan("own", "notebook", ("tqmd>=1", "numpy"), (), "environment.yml")
    smaller = leave_out(conda, "tqmd")
    assert smaller == Plan("own", "notebook", ("numpy",), ("tqmd>=1",), "environment.yml")
    assert leave_out(conda, "what-a-package-needs") is None


def test_the_command_ends_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    assert main(["--name=Own", "--base=", "--file="]) == 1
    assert caplog.records[0].message.startswith("NAME=Own cannot name")


def test_an_image_has_all_that_those_before_it_have(root: Path) -> None:
    own = root / "images" / "own"
    own.mkdir()
    (own / "requirements.in").write_text("-r ../stomics/requirements.in\ntqdm\n")
    assert list_chain(root, "own") == ["own", "stomics", "notebook"]
    names = [path.name for path in list_sources(root, "own")]
    assert names == ["notebook", "stomics", "own"]
    assert list_bases(root) == ["notebook", "own", "stomics"]
    (own / "requirements.in").write_text("-r ../own/requirements.in\n")
    assert list_chain(root, "own") == ["own"]


def test_an_image_without_its_lock_is_refused_with_the_mend(root: Path) -> None:
    own = root / "images" / "own"
    own.mkdir()
    (own / "requirements.in").write_text("tqdm\n")
    with pytest.raises(StepFailed, match="images/own has no lock yet: run `make lock`"):
        fill_context(root, "own", [], root)


def test_what_requirements_name_is_imported_by_its_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_checks, "IMAGES", tmp_path)
    (tmp_path / "own").mkdir()
    source = tmp_path / "own" / "requirements.in"
    source.write_text(
        "# all\n-r ../x/requirements.in\npython-dateutil>=1  # dateutil\npyyaml\nsix\n"
    )
    assert session_checks.import_requirements("own") == "can be imported: dateutil, yaml, six"
    source.write_text("nosuch-package\n")
    with pytest.raises(Wrong, match="nosuch-package is not installed"):
        session_checks.import_requirements("own")
    described = tmp_path / "broken_one-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-one\nVersion: 1\n")
    (described / "RECORD").write_text("broken_one.py,,\n")
    (tmp_path / "broken_one.py").write_text("import nosuch_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    source.write_text("broken-one\n")
    with pytest.raises(Wrong, match="broken_one cannot be imported: No module named 'nosuch_lib"):
        session_checks.import_requirements("own")


@pytest.mark.parametrize(("code", "ends"), [(0, True), (1, False)])
def test_an_image_is_verified_as_the_one_it_begins_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, ends: bool
) -> None:
    images = tmp_path / "images"
    (images / "base").mkdir(parents=True)
    (images / "__init__.py").touch()
    (images / "shared.py").write_text("SAID = 'all is well'")
    script = f"import sys\nfrom images.shared import SAID\nprint(SAID)\nsys.exit({code})\n"
    (images / "base" / "verify.py").write_text(script)
    monkeypatch.setattr(session_checks, "IMAGES", images)
    if ends:
        assert session_checks.verify_as("base") == "as base: all is well"
    else:
        with pytest.raises(Wrong, match="all is well"):
            session_checks.verify_as("base")


def test_a_base_without_apt_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(Path(sys.executable).resolve())
    done = subprocess.run(
        ["/bin/sh", ROOT / "images" / "_inside" / "install_packages.sh", "--python", "git"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "The base image has no apt-get, which brings git: choose another BASE, like Debian's.\n"
    )
