"""Keys of the test bed: who they say they are, and that they stay private."""

from __future__ import annotations

import base64
import ipaddress
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.bed.pki import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def get_usages(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_a_user_and_its_groups_stand_in_the_certificate_that_the_authority_signed(
    authority: Authority,
) -> None:
    certificate = read(authority.issue_client("node", "system:node:a", ["system:nodes"])[0])
    subject = certificate.subject
    (user,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    (group,) = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert (user.value, group.value) == ("system:node:a", "system:nodes")
    assert get_usages(certificate) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    certificate.verify_directly_issued_by(read(authority.certificate_file))


def test_a_server_answers_to_its_names_and_addresses(authority: Authority) -> None:
    certificate = read(authority.issue_server("s", "server", ["localhost", "10.0.0.1"])[0])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.0.0.1")]
    assert get_usages(certificate) == {ExtendedKeyUsageOID.SERVER_AUTH}


def test_a_kubelet_is_both(authority: Authority) -> None:
    certificate = read(authority.issue_node("n", "system:node:n", ["system:nodes"], ["n"])[0])
    assert get_usages(certificate) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }


def test_the_authority_is_taken_up_again(authority: Authority) -> None:
    again = Authority(authority.folder)
    certificate = read(again.issue_client("later", "later")[0])
    certificate.verify_directly_issued_by(read(authority.certificate_file))


def test_a_kubeconfig_holds_all_it_needs_and_is_its_owners_alone(
    authority: Authority, tmp_path: Path
) -> None:
    path = authority.write_kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", "admin")
    loaded = json.loads(path.read_text(encoding="utf-8"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (cluster,), (user,) = loaded["clusters"], loaded["users"]
    assert cluster["cluster"]["server"] == "https://127.0.0.1:1"
    pem = base64.b64decode(user["user"]["client-certificate-data"])
    key = x509.load_pem_x509_certificate(pem).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)


def test_no_key_can_be_read_by_others(authority: Authority) -> None:
    authority.issue_client("admin", "admin")
    authority.make_service_account_keys()
    keys = list(authority.folder.glob("*.key"))
    assert len(keys) == 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
