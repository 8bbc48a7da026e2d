# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of certificates: OpenSSL and Go accept what is accepted, and one of them refuses what is refused."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.x509 import judge
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, make_identity
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

HOST = "cache.example.org"
NOW = datetime.datetime.now(datetime.timezone.utc)
SERVER, CLIENT, ANY = (
    x509.ExtendedKeyUsage([getattr(ExtendedKeyUsageOID, name)])
    for name in ("SERVER_AUTH", "CLIENT_AUTH", "ANY_EXTENDED_KEY_USAGE")
)
RSA_KEY = rsa.generate_private_key(65537, 2048)
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
PSS_OF_ALL = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)


def key_usage(*names: str) -> x509.KeyUsage:
    every = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
    )
    return x509.KeyUsage(**{name: name in names for name in every.split()}, encipher_only=False, decipher_only=False)


def ca(name: str, issuer: Identity | None = None, **options: t.Any) -> Identity:
    return make_identity(name, issuer, **{"ca": True, **options})


def leaf(issuer: Identity | None = None, **options: t.Any) -> Identity:
    return make_identity("cache", issuer, addresses=[HOST], **options)


ROOT, OTHER_ROOT = ca("root"), ca("other root")
INTERMEDIATE = ca("intermediate", ROOT)
CROSSED = ca("intermediate", OTHER_ROOT, key=INTERMEDIATE.key)
CROSSED_ROOT = ca("root", OTHER_ROOT, key=ROOT.key, days=(-20, -10))
LEAF = leaf(INTERMEDIATE)
SELF = leaf()
RSA_ROOT = ca("rsa root", key=RSA_KEY)


def odd(
    issuer: Identity | None = None, *, ca: bool = False, critical: t.Sequence[x509.ExtensionType] = (), **more: t.Any
) -> Identity:
    """A certificate of which each part may be given: its extensions are critical, and there are no others."""
    key = more.get("key") or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, more.get("name", "odd"))])
    builder = x509.CertificateBuilder(
        subject_name=name,
        issuer_name=issuer.certificate.subject if issuer else name,
        public_key=key.public_key(),
        serial_number=more.get("serial", 5),
        not_valid_before=NOW - datetime.timedelta(days=1),
        not_valid_after=NOW + datetime.timedelta(days=30),
    )
    listed = [] if ca else [x509.SubjectAlternativeName([x509.DNSName(HOST)])]
    for extension in (*listed, *more.get("plain", ())):
        builder = builder.add_extension(extension, critical=False)
    for extension in critical:
        builder = builder.add_extension(extension, critical=True)
    return Identity(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def with_exponent(key: rsa.RSAPrivateKey, exponent: int) -> rsa.RSAPrivateKey:
    """The key with another public exponent, which the library itself makes no more."""
    p, q = key.private_numbers().p, key.private_numbers().q
    d = pow(exponent, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(exponent, p * q)
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *crt, public).private_key()


def sequence(body: bytes) -> bytes:
    size = len(body)
    return b"\x30" + (b"\x81" + bytes([size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")) + body


def changed(identity: Identity, right: bytes, wrong: bytes, issuer_key: t.Any) -> Identity:
    """The certificate with other bytes in what is signed, signed again."""
    tbs = identity.certificate.tbs_certificate_bytes
    signed = sequence(tbs[2 + (tbs[1] & 0x7F) :].replace(right, wrong))
    signature = issuer_key.sign(signed, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    der = sequence(signed + algorithm + b"\x03" + bytes([len(signature) + 1]) + b"\0" + signature)
    return Identity(x509.load_der_x509_certificate(der), identity.key)


def with_names(tag: bytes, name: bytes) -> Identity:
    """The certificate with one more name, which the library would not write."""
    host = b"\x82" + bytes([len(HOST)]) + HOST.encode()
    more = tag + bytes([len(name)]) + name
    names = b"\x30" + bytes([len(host + more)]) + host + more
    return make_identity("cache", ROOT, names=names)


SIGNER = x509.BasicConstraints(ca=True, path_length=None)
SIGNER_OF_SERVERS = ca("s", ROOT, more=[key_usage("key_cert_sign"), SERVER])
LAST_SIGNER = ca("s", ROOT, path_length=0)
ROOT_OF_NAMES = ca("s", more=[x509.NameConstraints([x509.DNSName("example.org")], None)])
ED25519_ROOT = ca("s", key=ed25519.Ed25519PrivateKey.generate(), algorithm=None)
SHA384_ROOT = ca("s", algorithm=hashes.SHA384)
SHA1_ROOT = Identity(
    x509.load_pem_x509_certificate(
        RSA_ROOT.malformed_pem(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")).encode()
    ),
    RSA_KEY,
)
NAMED_ROOT = odd(ca=True, critical=[SIGNER, x509.NameConstraints([x509.DNSName("example.org")], None)], name="named")
NO_CA = make_identity("no ca", ROOT)
OLD = ca("old", days=(-20, -10))
NOT_HERE = ca("s", more=[x509.NameConstraints(None, [x509.DNSName("cache.example.org")])])
ELSEWHERE = ca("s", more=[x509.NameConstraints([x509.DNSName("example.com")], None)])
NETWORK = ca("s", more=[x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))], None)])
NO_SIGNER = ca("s", ROOT, more=[key_usage("crl_sign")])
OF_CLIENTS = ca("s", ROOT, more=[CLIENT])
OF_ALL = ca("s", ROOT, more=[ANY])
WEAK = ca("weak", key=rsa.generate_private_key(65537, 1024))
CURVED = ca("curved", key=ec.generate_private_key(ec.BrainpoolP256R1()))
SHORT = ca("short", ROOT, path_length=0)
BELOW_SHORT = ca("below", SHORT)
KEYED = ca("keyed", more=[x509.SubjectKeyIdentifier(b"its own key")])
FOLDERS = [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")]))]
FOLDER = odd(ca=True, critical=[SIGNER, x509.NameConstraints(FOLDERS, None)], name="folder")
NO_CONSTRAINTS = odd(ca=True, plain=[key_usage("key_cert_sign")], name="no constraints")
POLICED = odd(
    ca=True, critical=[SIGNER, x509.PolicyConstraints(require_explicit_policy=None, inhibit_policy_mapping=0)], name="p"
)
GATED = x509.ExtendedKeyUsage([ObjectIdentifier("2.16.840.1.113730.4.1")])
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
NETSCAPE = x509.UnrecognizedExtension(ObjectIdentifier("2.16.840.1.113730.1.1"), b"\x03\x02\x06\x40")
LONG_RSA = with_exponent(RSA_KEY, 2**32 + 15)


def names_key(identifier: bytes) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(identifier, None, None)


NO_CA_BELOW = ca("s", path_length=0, more=[x509.SubjectKeyIdentifier(b"root")])
SAME_NAME = ca("s", NO_CA_BELOW, more=[x509.SubjectKeyIdentifier(b"same"), names_key(b"root")])
EXPLICIT = ca("s", ROOT, more=[x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None)])
POLICY = x509.PolicyInformation(ObjectIdentifier("1.2.3.4"), None)
ANY_MAPPED = x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.33"), bytes.fromhex("300d300b0604551d200006032a0304"))
MAPPED = ca("s", ROOT, more=[ANY_MAPPED, x509.CertificatePolicies([POLICY])])
RELATIVE = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "list")])
RELATIVE_LIST = x509.CRLDistributionPoints([x509.DistributionPoint(None, RELATIVE, None, None)])
# "root" and "r   " as other types of text.
UTF8_NAME, PRINTABLE, CAPITALS = b"\x0c\x04root", b"\x13\x04root", b"\x0c\x04ROOT"
UNIVERSAL, NUMERIC, IA5 = b"\x1c\x04\0\0\0r", b"\x12\x04root", b"\x16\x04r\xc3\xb6t"


def renamed(name: bytes) -> tuple[list[Identity], list[Identity]]:
    """A certificate and its root, with another encoding of the root's name in both."""
    return [changed(leaf(ROOT), UTF8_NAME, name, ROOT.key)], [changed(ROOT, UTF8_NAME, name, ROOT.key)]


def constrained(value: x509.GeneralName, *names: tuple[bytes, bytes]) -> tuple[list[Identity], list[Identity]]:
    """A certificate with more names, and a root that does not sign for a name."""
    root = ca("root", key=ROOT.key, more=[x509.NameConstraints(None, [value])])
    return [with_names(*names[0]) if names else leaf(ROOT)], [root]


def with_other_algorithm(root: Identity) -> Identity:
    """The certificate with another algorithm beside the signature than in what is signed."""
    der = root.certificate.public_bytes(serialization.Encoding.DER)
    right, wrong = bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040303")
    return Identity(x509.load_der_x509_certificate(wrong.join(der.rsplit(right, 1))), root.key)


OTHER_DOMAIN = x509.DNSName("example.com")


ACCEPTED: dict[str, tuple[list[Identity], list[Identity]]] = {
    "with an intermediate": ([LEAF, INTERMEDIATE], [ROOT]),
    "with its root": ([LEAF, INTERMEDIATE, ROOT], [ROOT]),
    "one of two CAs": ([LEAF, INTERMEDIATE], [OTHER_ROOT, ROOT]),
    "an intermediate is trusted": ([LEAF], [INTERMEDIATE]),
    "an intermediate that is sent is trusted": ([LEAF, INTERMEDIATE], [INTERMEDIATE]),
    "signed by itself": ([SELF], [SELF]),
    "trusted itself": ([LEAF], [LEAF]),
    "signed by two": ([LEAF, INTERMEDIATE, CROSSED], [ROOT]),
    "signed by two, the other first": ([LEAF, CROSSED, INTERMEDIATE], [OTHER_ROOT]),
    "beside an expired one": (
        [LEAF, ca("intermediate", OTHER_ROOT, key=INTERMEDIATE.key, days=(-9, -1)), INTERMEDIATE],
        [ROOT],
    ),
    "beside an expired root": ([LEAF, INTERMEDIATE, CROSSED_ROOT], [ROOT]),
    "beside a stranger": ([LEAF, INTERMEDIATE, SELF], [ROOT]),
    "for servers": ([leaf(ROOT, more=[SERVER])], [ROOT]),
    "for both": ([leaf(ROOT, more=[x509.ExtendedKeyUsage([*SERVER, *CLIENT])])], [ROOT]),
    "digitalSignature": ([leaf(ROOT, more=[key_usage("digital_signature")])], [ROOT]),
    "RSA with keyEncipherment": (
        [leaf(ROOT, key=RSA_KEY, more=[key_usage("digital_signature", "key_encipherment")])],
        [ROOT],
    ),
    "a CA of servers": ([leaf(SIGNER_OF_SERVERS), SIGNER_OF_SERVERS], [ROOT]),
    "a path as long as it may be": ([leaf(LAST_SIGNER), LAST_SIGNER], [ROOT]),
    "names as they may be": ([leaf(ROOT_OF_NAMES)], [ROOT_OF_NAMES]),
    "names as they must be": ([leaf(NAMED_ROOT)], [NAMED_ROOT]),
    "SHA-512 and RSA": ([leaf(RSA_ROOT, algorithm=hashes.SHA512)], [RSA_ROOT]),
    "RSA-PSS signature": ([leaf(RSA_ROOT, padding=PSS)], [RSA_ROOT]),
    "an Ed25519 CA": ([leaf(ED25519_ROOT, algorithm=None)], [ED25519_ROOT]),
    "SHA-384": ([leaf(SHA384_ROOT)], [SHA384_ROOT]),
    "SHA-1 on what is trusted": ([leaf(SHA1_ROOT)], [SHA1_ROOT]),
    "SHA-1 on what is trusted and sent": ([leaf(SHA1_ROOT), SHA1_ROOT], [SHA1_ROOT]),
    "a URI": ([with_names(b"\x86", b"spiffe://example.org:8443/a?b=%20#c")], [ROOT]),
    "a name with a dot": ([with_names(b"\x82", b"a.example.org.")], [ROOT]),
    "a constraint of mail": constrained(x509.RFC822Name("example.com"), (b"\x81", b"a@example.org")),
    "a constraint with a leading dot": constrained(x509.DNSName(".example.com")),
    "a URN": ([with_names(b"\x86", b"urn:uuid:1-2")], [ROOT]),
    "a key identifier that fits": (
        [leaf(KEYED, more=[names_key(b"its own key")])],
        [KEYED],
    ),
}

REFUSED_BY_OPENSSL: dict[str, tuple[list[Identity], list[Identity]]] = {
    "for clients": ([leaf(ROOT, more=[CLIENT])], [ROOT]),
    "for anything": ([leaf(ROOT, more=[ANY])], [ROOT]),
    "to sign lists": ([leaf(ROOT, more=[key_usage("crl_sign")])], [ROOT]),
    "RSA to sign lists": ([leaf(ROOT, key=RSA_KEY, more=[key_usage("crl_sign")])], [ROOT]),
    "below a server": ([leaf(NO_CA), NO_CA], [ROOT]),
    "a server is trusted": ([leaf(NO_CA)], [NO_CA]),
    "a CA that must not sign": ([leaf(NO_SIGNER), NO_SIGNER], [ROOT]),
    "a CA of clients": ([leaf(OF_CLIENTS), OF_CLIENTS], [ROOT]),
    "a CA of anything": ([leaf(OF_ALL), OF_ALL], [ROOT]),
    "a path too long": ([leaf(BELOW_SHORT), BELOW_SHORT, SHORT], [ROOT]),
    "other names": ([leaf(ELSEWHERE)], [ELSEWHERE]),
    "a name left out": ([leaf(NOT_HERE)], [NOT_HERE]),
    "a weak CA": ([leaf(WEAK)], [WEAK]),
    "an expired CA": ([leaf(OLD)], [OLD]),
    "an expired certificate": ([leaf(ROOT, days=(-20, -10))], [ROOT]),
    "a certificate of tomorrow": ([leaf(ROOT, days=(1, 10))], [ROOT]),
    "another root": ([LEAF, INTERMEDIATE], [OTHER_ROOT]),
    "without its intermediate": ([LEAF], [ROOT]),
    "with the other intermediate": ([LEAF, CROSSED], [ROOT]),
    "another root of its name": ([LEAF, INTERMEDIATE], [ca("root")]),
    "signed by itself, and not trusted": ([SELF], [ROOT]),
    "the second of its name": ([LEAF, CROSSED, INTERMEDIATE], [ROOT]),
    "another host": ([make_identity("cache", ROOT, addresses=["other.example.org"])], [ROOT]),
    "a common name alone": ([odd(ROOT, ca=True, name=HOST)], [ROOT]),
    "an address as a name": ([make_identity("cache", ROOT, addresses=["192.0.2.7"])], [ROOT]),
    "a wrong authority key identifier": ([leaf(KEYED, more=[names_key(b"another key")])], [KEYED]),
    "a precertificate": ([odd(ROOT, critical=[x509.PrecertPoison()])], [ROOT]),
    "an unknown critical extension": ([odd(ROOT, critical=[UNKNOWN])], [ROOT]),
    "other directory names": ([leaf(FOLDER)], [FOLDER]),
    "SHA-1": (
        [
            Identity(
                x509.load_pem_x509_certificate(
                    leaf(RSA_ROOT)
                    .malformed_pem(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105"))
                    .encode()
                ),
                RSA_KEY,
            )
        ],
        [RSA_ROOT],
    ),
}

# The table of differences: OpenSSL accepts these, and Go does not.
REFUSED_BY_GO: dict[str, tuple[list[Identity], list[Identity], str]] = {
    "directory names": ([odd(FOLDER, name="odd")], [FOLDER], "constrains names of the kind DirectoryName"),
    "policy constraints": ([leaf(POLICED)], [POLICED], "has the critical extension policyConstraints"),
    "Netscape's type": ([odd(ROOT, critical=[NETSCAPE])], [ROOT], "has the critical extension 2.16.840.1.113730.1.1"),
    "Netscape's purpose": ([leaf(ROOT, more=[GATED])], [ROOT], "has the extended key usage 2.16.840.1.113730.4.1 and"),
    "no basic constraints": ([leaf(NO_CONSTRAINTS)], [NO_CONSTRAINTS], "is not the certificate of a CA"),
    "SHA-224": ([leaf(RSA_ROOT, algorithm=hashes.SHA224)], [RSA_ROOT], "is signed with sha224WithRSAEncryption"),
    "SHA3": ([leaf(ROOT, algorithm=hashes.SHA3_256)], [ROOT], "is signed with "),
    "RSA-PSS with a long salt": (
        [leaf(RSA_ROOT, padding=PSS_OF_ALL)],
        [RSA_ROOT],
        "has an RSA-PSS signature in a form",
    ),
    "a curve of a CA": ([leaf(CURVED)], [CURVED], "has a key on the curve brainpoolP256r1"),
    "a large exponent": ([leaf(ROOT, key=LONG_RSA)], [ROOT], "has an RSA key with an exponent that is too large"),
    "a broken URI": ([with_names(b"\x86", b"https://a/%zz")], [ROOT], "has a subject alternative name that Docker"),
    "a URI without a host": ([with_names(b"\x86", b"https://a..b/")], [ROOT], "has a subject alternative name that"),
    "a name beyond ASCII": ([with_names(b"\x82", "ä.org".encode())], [ROOT], "has a subject alternative name that"),
    "a negative serial number": (
        [changed(odd(ROOT), b"\x02\x01\x05", b"\x02\x01\x85", ROOT.key)],
        [ROOT],
        "has a negative serial number",
    ),
    "an issuer in another encoding": (
        [changed(leaf(ROOT), UTF8_NAME, PRINTABLE, ROOT.key)],
        [ROOT],
        "names its issuer, CN=root, in other letters",
    ),
    "an issuer in capitals": (
        [changed(leaf(ROOT), UTF8_NAME, CAPITALS, ROOT.key)],
        [ROOT],
        "names its issuer, CN=ROOT, in other letters",
    ),
    "UniversalString": (*renamed(UNIVERSAL), "has a name in an unusual encoding"),
    "version 1 with extensions": (
        [changed(odd(ROOT), bytes.fromhex("a003020102"), b"", ROOT.key)],
        [ROOT],
        "has the version 1, and extensions",
    ),
    "a path too long by a CA of the same name": (
        [leaf(SAME_NAME, more=[names_key(b"same")]), SAME_NAME],
        [NO_CA_BELOW],
        "allows 0 intermediate CA(s) below it (path length), and here are 1",
    ),
    "two algorithms": ([leaf(ROOT)], [with_other_algorithm(ROOT)], "has two signature algorithms"),
    "explicit policies": ([leaf(EXPLICIT), EXPLICIT], [ROOT], "requires explicit policies"),
    "a policy twice": (
        [leaf(ROOT, more=[x509.CertificatePolicies([POLICY, POLICY])])],
        [ROOT],
        "has the same policy twice",
    ),
    "any policy mapped": ([leaf(MAPPED), MAPPED], [ROOT], "has a mapping of anyPolicy"),
    "a relative list": ([leaf(ROOT, more=[RELATIVE_LIST])], [ROOT], "has a relative name for its revocation list"),
    "a constraint with a dot": (
        *constrained(x509.DNSName("example.com.")),
        "constrains names of the kind DNSName by 'example.com.'",
    ),
    "a constraint with an empty label": (*constrained(x509.DNSName("a..b")), "constrains names of the kind DNSName"),
    "a constraint of mail with a blank": (
        *constrained(x509.RFC822Name("exam ple.com")),
        "constrains names of the kind RFC822Name by 'exam ple.com'",
    ),
    "a constraint of addresses": (
        *constrained(x509.UniformResourceIdentifier("example.com"), (b"\x86", b"https://10.0.0.1/")),
        "constrains names of the kind UniformResourceIdentifier",
    ),
    "a name with a dot and a constraint": (
        *constrained(OTHER_DOMAIN, (b"\x82", b"a.example.org.")),
        "has a subject alternative name that Docker does not read, a.example.org.",
    ),
    "a name with a blank and a constraint": (
        *constrained(OTHER_DOMAIN, (b"\x82", b"a b")),
        "has a subject alternative name that Docker does not read, a b",
    ),
    "a mail address with a blank and a constraint": (
        *constrained(OTHER_DOMAIN, (b"\x81", b"a b@example.org")),
        "has a subject alternative name that Docker does not read, a b@example.org",
    ),
    "beside a negative serial number": (
        [leaf(ROOT), changed(odd(ROOT), b"\x02\x01\x05", b"\x02\x01\x85", ROOT.key)],
        [ROOT],
        "has a negative serial number",
    ),
    "IPv4 as IPv6": (
        [with_names(b"\x87", bytes(10) + b"\xff\xff\x0a\0\0\1")],
        [ROOT],
        "has a subject alternative name that Docker does not read, ::ffff:",
    ),
}
# Go before 1.24 refuses the first, and later versions the second.
OF_OTHER_VERSIONS = ("policy constraints", "IPv4 as IPv6")


def verdict(chain: t.Sequence[Identity], trusted: t.Sequence[Identity], host: str = HOST) -> judge.Verdict:
    certificates = [each.certificate for each in chain]
    return judge.judge(certificates, chain[0].key_pem, host, [each.certificate for each in trusted])


def faults(path: t.Sequence[x509.Certificate], sent: t.Sequence[Identity] = ()) -> list[str]:
    return [fault for _certificate, fault in judge.go_faults(path, [each.certificate for each in sent])]


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_clients_accept_is_accepted(name: str) -> None:
    chain, trusted = ACCEPTED[name]
    found = verdict(chain, trusted)
    assert (found.reason, faults(found.path, chain)) == ("None", [])
    assert found.path[0] == chain[0].certificate
    assert found.path[-1] in [each.certificate for each in trusted]


@pytest.mark.parametrize("name", REFUSED_BY_OPENSSL)
def test_what_openssl_refuses_is_refused(name: str) -> None:
    found = verdict(*REFUSED_BY_OPENSSL[name])
    assert not found.path
    assert found.error


@pytest.mark.filterwarnings("ignore:The parsed certificate contained a NULL", "ignore:Parsed a")
@pytest.mark.parametrize("name", REFUSED_BY_GO)
def test_what_only_go_refuses_is_refused_as_well(name: str) -> None:
    chain, trusted, sentence = REFUSED_BY_GO[name]
    found = verdict(chain, trusted)
    assert found.reason == "None"
    assert {fault[: len(sentence)] for fault in faults(found.path, chain)} == {sentence}


@pytest.mark.parametrize("name", [NUMERIC, IA5])
def test_letters_that_their_type_of_text_lacks_are_refused(name: bytes) -> None:
    """By Go's rules, or from cryptography 51 on as unreadable."""
    try:
        chain, trusted = renamed(name)
    except ValueError as error:
        assert "AttributeTypeValue" in str(error)
    else:
        (fault,) = set(faults(verdict(chain, trusted).path, chain))
        assert fault.startswith("has a name in an unusual encoding")


@pytest.mark.skipif(not shutil.which("go"), reason="asks Go, which is not installed")
def test_go_judges_as_the_table_says(tmp_path: Path) -> None:
    cases = {**ACCEPTED, **{name: row[:2] for name, row in REFUSED_BY_GO.items() if name not in OF_OTHER_VERSIONS}}
    for number, (chain, trusted) in enumerate(cases.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "chain.pem").write_text("".join(each.pem for each in chain))
        (folder / "key.pem").write_text(chain[0].key_pem)
        (folder / "roots.pem").write_text("".join(each.pem for each in trusted))
    program = Path(__file__).with_name("judge.go")
    folders = [str(tmp_path / str(number)) for number in range(len(cases))]
    told = subprocess.run(["go", "run", str(program), HOST, *folders], check=True, capture_output=True, text=True)
    wrong = {
        name: line for name, line in zip(cases, told.stdout.splitlines()) if (line == "<nil>") != (name in ACCEPTED)
    }
    assert wrong == {}


def test_an_address_is_a_host(tmp_path: Path) -> None:
    for address in ("192.0.2.7", "2001:db8::7"):
        identity = make_identity("cache", ROOT, addresses=[address])
        assert verdict([identity], [ROOT], address).path
        assert verdict([identity], [ROOT], "192.0.2.8").is_about_the_name


def test_no_key_is_written_to_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    assert verdict([LEAF, INTERMEDIATE], [ROOT]).path


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (ec.generate_private_key(ec.SECP521R1()), None),
        (RSA_KEY, None),
        (ec.generate_private_key(ec.BrainpoolP256R1()), "is a key on the curve brainpoolP256r1"),
        (ec.generate_private_key(ec.SECP256K1()), "is a key on the curve secp256k1"),
        (ec.generate_private_key(ec.SECP224R1()), "is a key on the curve secp224r1"),
        (rsa.generate_private_key(65537, 1024), "is an RSA key of 1024 bits, and clients take 2048 to 8192; make an"),
        (dsa.generate_private_key(1024), "is a key of the kind DSA, which the registry and Docker do not know; make"),
        (ed25519.Ed25519PrivateKey.generate(), "is an Ed25519 key, which registries and Docker Engines of before 2020"),
        (ed448.Ed448PrivateKey.generate(), "is a key of the kind Ed448, which the registry"),
    ],
)
def test_a_key_that_somebody_refuses_says_what_to_make(key: t.Any, sentence: str | None) -> None:
    assert str(judge.private_key_problem(key)).startswith(str(sentence))
