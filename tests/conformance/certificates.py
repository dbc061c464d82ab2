"""A chain as a user would make it: root, intermediate, leaf, by openssl."""

import hashlib
import os
import ssl
import subprocess


def _openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def _read(folder, name):
    with open(os.path.join(folder, name), encoding="ascii") as file:
        return file.read()


def make_authority(folder):
    """Root and intermediate, below folder."""
    for name in ("root", "middle", "leaf"):
        with open(os.path.join(folder, f"{name}.ext"), "w", encoding="ascii") as file:
            file.write(f"basicConstraints=critical,CA:{'FALSE' if name == 'leaf' else 'TRUE'}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
            file.write("keyUsage=critical,digitalSignature\n" if name == "leaf" else "keyUsage=critical,keyCertSign,cRLSign\n")
    _request(folder, "root", "/CN=A root of this test")
    _openssl(folder, "x509", "-req", "-in", "root.csr", "-signkey", "root.key", "-days", "3000", "-extfile", "root.ext", "-out", "root.crt")
    _request(folder, "middle", "/CN=An intermediate of this test")
    _sign(folder, "middle", by="root", days=2000)


def make_leaf(folder, host):
    """A new key and certificate for the host: {certificate, intermediate, private_key, root, fingerprint}."""
    with open(os.path.join(folder, "leaf.ext"), "a", encoding="ascii") as file:
        file.write(f"subjectAltName=DNS:{host}\nextendedKeyUsage=serverAuth\n")
    _request(folder, "leaf", f"/CN={host}")
    _sign(folder, "leaf", by="middle", days=90)
    certificate = _read(folder, "leaf.crt")
    return {
        "certificate": certificate,
        "intermediate": _read(folder, "middle.crt"),
        "private_key": _read(folder, "leaf.key"),
        "root": _read(folder, "root.crt"),
        "fingerprint": hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest(),
    }


def _request(folder, name, subject):
    _openssl(folder, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")


def _sign(folder, name, by, days):
    files = ["-in", f"{name}.csr", "-CA", f"{by}.crt", "-CAkey", f"{by}.key", "-out", f"{name}.crt", "-extfile", f"{name}.ext"]
    _openssl(folder, "x509", "-req", *files, "-CAcreateserial", "-days", str(days))
