"""Certificates and kubeconfigs of one bed: an authority, and keys for whoever talks to the API.

All live as long as the bed and never leave its state folder.
Source: https://kubernetes.io/docs/setup/best-practices/certificates/ (v1.35)
"""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.bed.files import write_atomically

LIFE = timedelta(days=30)
MASTERS = "system:masters"


class Authority:
    """The bed's certificate authority, in `folder`: `ca.crt` and `ca.key`, made when missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate_file = folder / "ca.crt"
        if not self.certificate_file.exists():
            self._make()
        self._key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        self._certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())

    def issue_server(self, name: str, common_name: str, hosts: Sequence[str]) -> tuple[Path, Path]:
        """Make `name.crt` and `name.key` for a server that answers on these names and addresses."""
        return self._issue(name, common_name, (), hosts)

    def issue_client(
        self, name: str, common_name: str, groups: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """Make `name.crt` and `name.key` for a user, with Kubernetes groups."""
        return self._issue(name, common_name, groups, ())

    def issue_node(
        self, name: str, common_name: str, groups: Sequence[str], hosts: Sequence[str]
    ) -> tuple[Path, Path]:
        """Make `name.crt` and `name.key` for a kubelet: client of the API, and server."""
        return self._issue(name, common_name, groups, hosts, client_too=True)

    def write_kubeconfig(
        self,
        path: Path,
        server: str,
        user: str,
        groups: Sequence[str] = (),
        files: tuple[Path, Path] | None = None,
    ) -> Path:
        """Write a kubeconfig that holds all it needs, for `user` with a key of its own.

        Args:
            path: where it goes.
            server: the API server's address.
            user: who talks with it.
            groups: Kubernetes groups of that user.
            files: certificate and key, where they exist already.
        """
        certificate, key = files or self.issue_client(path.stem, user, groups)
        configuration = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "bed",
                    "cluster": {
                        "server": server,
                        "certificate-authority-data": _encode(self.certificate_file),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _encode(certificate),
                        "client-key-data": _encode(key),
                    },
                }
            ],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": user}}],
            "current-context": "bed",
        }
        write_atomically(path, json.dumps(configuration, indent=2) + "\n")
        return path

    def make_service_account_keys(self) -> tuple[Path, Path]:
        """Make the pair that signs and checks tokens of ServiceAccounts; return (key, public)."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private, public = self.folder / "service-accounts.key", self.folder / "service-accounts.pub"
        _write_key(private, key)
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_atomically(public, pem.decode())
        return private, public

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _build_name("bed", ())
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            _begin(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        _write_key(self.folder / "ca.key", key)
        _write_certificate(self.certificate_file, builder.sign(key, hashes.SHA256()))

    def _issue(
        self,
        name: str,
        common_name: str,
        groups: Sequence[str],
        hosts: Sequence[str],
        *,
        client_too: bool = False,
    ) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] if hosts else []
        if client_too or not hosts:
            usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
        builder = _begin(
            _build_name(common_name, groups), self._certificate.subject, key.public_key()
        ).add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_build_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        certificate_file, key_file = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        _write_key(key_file, key)
        _write_certificate(certificate_file, builder.sign(self._key, hashes.SHA256()))
        return certificate_file, key_file


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
    )


def _build_name(common_name: str, groups: Sequence[str]) -> x509.Name:
    # Kubernetes reads the organizations as groups, the common name as the user.
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _build_host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_atomically(path, pem.decode())


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    write_atomically(path, pem.decode(), mode=0o644)


def _encode(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
