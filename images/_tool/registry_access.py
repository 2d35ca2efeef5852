"""What package clients on this machine need to reach their registries, for a build to use too.

Place in the path: `build` hands these files to the builder as secrets; in the image a command sees
them under `/run/secrets` while it runs (`images/_inside/with_settings.sh`). They name proxies,
indexes and certificates of this machine, perhaps with a password, so no layer, no image setting and
no line of ours may hold them. Standard library only. Imported by `build`.
"""

from __future__ import annotations

import configparser
import shlex
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
#: Variables of pip and uv that say where packages are and how long to wait for them.
CLIENT_VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_PROXY",
    "PIP_TIMEOUT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX_STRATEGY",
    "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT",
)
#: Keys of pip's configuration that say the same.
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
#: Where the bundle is inside a build.
CA_INSIDE = "/run/secrets/ca"
APT_INSIDE = "/run/secrets/apt"
APT_PREFIXES = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")


def write_secrets(folder: Path, environ: Mapping[str, str]) -> dict[str, Path]:
    """Write the files that a build gets as secrets, readable by us alone; return id -> file.

    Args:
        folder: an empty folder that is removed after the build.
        environ: this machine's variables; pip's and apt's configuration is read from its files.
    """
    pip = read_pip_configuration(environ)
    contents = {"settings": build_settings(environ, pip)}
    bundle = find_ca_bundle(environ, pip)
    if bundle is not None:
        contents["ca"] = bundle.read_text(encoding="utf-8", errors="replace")
        contents["settings"] += "".join(f"{name}={CA_INSIDE}\n" for name in CA_VARIABLES)
    apt = build_apt_configuration(_dump_apt_configuration(), has_bundle=bundle is not None)
    if apt:
        contents["apt"] = apt
        contents["settings"] += f"APT_CONFIG={APT_INSIDE}\n"
    secrets = {name: folder / name for name in contents}
    for name, path in secrets.items():
        path.touch(mode=0o600)
        path.write_text(contents[name], encoding="utf-8")
    return secrets


def build_settings(environ: Mapping[str, str], pip: Mapping[str, str]) -> str:
    """Build the lines `NAME='value'` that a command of the build gets as variables.

    Args:
        environ: this machine's variables.
        pip: pip's configuration, key -> value; a variable goes before it.
    """
    names = {*PROXIES, *(name.upper() for name in PROXIES), *CLIENT_VARIABLES}
    found = {f"PIP_{_to_variable(key)}": pip[key] for key in PIP_KEYS if pip.get(key)}
    found |= {name: environ[name] for name in names if environ.get(name)}
    # uv does not read pip's configuration.
    if "PIP_INDEX_URL" in found and not any(name in found for name in UV_INDEXES):
        found["UV_DEFAULT_INDEX"] = found["PIP_INDEX_URL"]
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(found.items()))


def read_pip_configuration(environ: Mapping[str, str]) -> dict[str, str]:
    """Read what pip's files say, a later file over an earlier one.

    Source: https://pip.pypa.io/en/stable/topics/configuration/ (pip 25)
    """
    parser = configparser.RawConfigParser(strict=False)
    for path in _list_pip_files(environ):
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue  # pip says itself what is wrong with its configuration
    sections = [name for name in ("global", "install") if parser.has_section(name)]
    return {key: value for name in sections for key, value in parser.items(name)}


def _list_pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == "/dev/null":
        return
    yield Path("/etc/pip.conf")
    if home := environ.get("HOME"):
        yield Path(home) / ".pip" / "pip.conf"
        yield Path(environ.get("XDG_CONFIG_HOME") or f"{home}/.config") / "pip" / "pip.conf"
    if named:
        yield Path(named)


def find_ca_bundle(environ: Mapping[str, str], pip: Mapping[str, str]) -> Path | None:
    """Find the certificates that this machine's clients trust; None where there are none."""
    named = [environ.get(name, "") for name in CA_VARIABLES]
    own = ssl.get_default_verify_paths().cafile or ""
    system = "/etc/ssl/certs/ca-certificates.crt"
    for path in [*named, pip.get("cert", ""), own, system]:
        if path and Path(path).is_file():
            return Path(path)
    return None


def build_apt_configuration(dump: str, *, has_bundle: bool) -> str:
    """Build what apt in the image needs: proxies and checks as here, and our certificates.

    Args:
        dump: what `apt-config dump` prints, a setting a line; empty where there is no apt.
        has_bundle: whether the build gets certificates.
    """
    lines = [line for line in dump.splitlines() if line.startswith(APT_PREFIXES)]
    lines = [line for line in lines if "::CAInfo" not in line and not line.endswith(' "";')]
    if has_bundle:
        lines.append(f'Acquire::https::CAInfo "{CA_INSIDE}";')
    return "".join(f"{line}\n" for line in lines)


def _dump_apt_configuration() -> str:
    try:
        done = subprocess.run(
            ["apt-config", "dump"],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _to_variable(key: str) -> str:
    return key.upper().replace("-", "_")
