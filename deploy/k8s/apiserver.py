"""A real kube-apiserver on this machine, with a store of its own, for as long as a check lasts.

No kubelet, no operator: it takes objects or refuses them, as it would in a cluster, and nothing comes of them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ocop.home import free_port

HERE: Final = Path(__file__).parent
SOURCE: Final = HERE / "programs"  # a Go module that names both programs, in one version each
BUILT: Final = HERE.parents[1] / ".kube"
PROGRAMS: Final = {"kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver", "etcd": "go.etcd.io/etcd/server/v3"}
READY_S: Final = 60


class ApiServerError(Exception):
    """There is no API server: it cannot be built, or does not start."""


@dataclass(frozen=True, slots=True)
class ApiServer:
    """One that answers."""

    address: str
    token: str
    kubectl: str

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """kubectl against it."""
        # Its certificate is of its own making, and the connection does not leave the machine.
        reached = (
            "--server",
            self.address,
            "--token",
            self.token,
            "--insecure-skip-tls-verify",
            "--kubeconfig",
            os.devnull,
        )
        command = (self.kubectl, *reached, *arguments)
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603  # our own command


def kubectl() -> str:
    """kubectl beside this Python, or of the machine. Raises ApiServerError."""
    beside = Path(sys.executable).parent / "kubectl"
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        raise ApiServerError("There is no kubectl: `make venv` brings it.")
    return found


def programs() -> dict[str, Path]:
    """kube-apiserver and etcd: of the folder OCOP_KUBE_BIN, or built from `programs/`, once. Raises ApiServerError."""
    folder = Path(os.environ.get("OCOP_KUBE_BIN", BUILT))
    found = {name: folder / name for name in PROGRAMS}
    missing = [name for name, path in found.items() if not path.exists()]
    if missing and "OCOP_KUBE_BIN" in os.environ:
        raise ApiServerError(f"{folder} lacks {', '.join(missing)}.")
    for name in missing:
        _build(name, found[name])
    return found


def _build(name: str, target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise ApiServerError(f"Building {name} needs Go; or name a folder that has it in OCOP_KUBE_BIN.")
    sys.stdout.write(f"Building {name}: some minutes, once\n")
    sys.stdout.flush()
    target.parent.mkdir(exist_ok=True)
    command = (go, "build", "-p", "2", "-trimpath", "-o", str(target.resolve()), PROGRAMS[name])
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    done = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
    if done.returncode:
        raise ApiServerError(f"{name} cannot be built:\n{done.stderr[-2000:]}")


@contextmanager
def running() -> Iterator[ApiServer]:
    """One that answers, until the block ends. Raises ApiServerError."""
    binaries = programs()
    with TemporaryDirectory(prefix="ocop-kube-") as name, ExitStack() as stack:
        folder, token = Path(name), secrets.token_hex(16)
        store, peers, port = (free_port() for _ in range(3))
        (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
        key = folder / "account.key"
        key.write_text(_made_key())
        etcd = (
            str(binaries["etcd"]),
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{store}",
            f"--advertise-client-urls=http://127.0.0.1:{store}",
            f"--listen-peer-urls=http://127.0.0.1:{peers}",
            "--unsafe-no-fsync",  # nothing of it is kept
        )
        server = (
            str(binaries["kube-apiserver"]),
            f"--etcd-servers=http://127.0.0.1:{store}",
            f"--cert-dir={folder}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--disable-admission-plugins=ServiceAccount",  # no controller makes the accounts' tokens
            "--allow-privileged=true",
        )
        stack.enter_context(_process(etcd, folder / "etcd.log"))
        process = stack.enter_context(_process(server, folder / "kube-apiserver.log"))
        answering = ApiServer(f"https://127.0.0.1:{port}", token, kubectl())
        _wait(answering, process, folder / "kube-apiserver.log")
        yield answering


def _made_key() -> str:
    """A private key, as the API server wants one for tokens that nobody here asks for. Raises ApiServerError."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise ApiServerError("There is no openssl: it is in Debian's package of that name.")
    command = (openssl, "genrsa", "2048")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # our own command


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:  # noqa: S603  # our own command
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(server: ApiServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while server.run("get", "--raw", "/readyz").returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise ApiServerError(f"kube-apiserver does not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.5)
