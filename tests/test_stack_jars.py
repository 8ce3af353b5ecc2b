"""The jars of the embedded Kafka: what arrives whole stays, what does not leaves nothing behind."""

import gc
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ocop import jars, kafka
from ocop.errors import OcopError
from ocop.jars import Jar

# jgo leaves the connection of a failed answer to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@dataclass
class Repository:
    """A Maven repository on this machine, whose answers a test chooses."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut: bool = False  # announce more bytes than are sent
    asked: list[str] = field(default_factory=list)

    def add(self, artifact: str, content: bytes) -> Jar:
        """Publish a jar; what is returned is its line in the lock."""
        self.files[f"/org/example/{artifact}/1.0/{artifact}-1.0.jar"] = content
        return Jar("org.example", artifact, "1.0", hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    state = Repository()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            content = state.files.get(self.path)
            self.send_response(404 if content is None else 200)
            content = content or b""
            self.send_header("Content-Length", str(len(content) + (100 if state.cut else 0)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("OCOP_MAVEN_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield state
    server.shutdown()
    thread.join()
    server.server_close()
    gc.collect()  # here, and not in a test that it has nothing to do with


def names(directory: Path) -> set[str]:
    """What lies in the cache, the lock of the directory aside."""
    return {path.name for path in directory.iterdir()} - {".lock"}


def test_jars_arrive_whole_and_are_asked_for_once(repository: Repository, tmp_path: Path) -> None:
    wanted = [repository.add(f"jar{n}", bytes([n]) * 50_000) for n in range(20)]
    jars.fetch(wanted, tmp_path)
    assert names(tmp_path) == {jar.filename for jar in wanted}
    assert all(jar.is_at(tmp_path / jar.filename) for jar in wanted)

    repository.asked.clear()
    jars.fetch(wanted, tmp_path)
    assert repository.asked == []


def test_other_bytes_than_locked_are_refused_and_thrown_away(repository: Repository, tmp_path: Path) -> None:
    good = repository.add("good", b"good")
    bad = replace(repository.add("bad", b"other"), sha256=hashlib.sha256(b"wrong").hexdigest())
    with pytest.raises(OcopError, match=r"bad-1\.0\.jar is not the file that was locked"):
        jars.fetch([good, bad], tmp_path)
    assert names(tmp_path) <= {good.filename}


def test_a_download_that_breaks_off_leaves_nothing(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("jar", b"content")
    repository.cut = True
    with pytest.raises(OcopError, match=r"Cannot download jar-1\.0\.jar .*check the network"):
        jars.fetch([jar], tmp_path)
    assert names(tmp_path) == set()
    assert sum(path.endswith(".jar") for path in repository.asked) == jars.ATTEMPTS

    repository.cut = False
    jars.fetch([jar], tmp_path)
    assert names(tmp_path) == {jar.filename}


def test_a_jar_that_is_nowhere_is_named(repository: Repository, tmp_path: Path) -> None:
    jar = replace(repository.add("here", b"x"), artifact="elsewhere")
    with pytest.raises(OcopError, match=r"Cannot download elsewhere-1\.0\.jar"):
        jars.fetch([jar], tmp_path)
    assert names(tmp_path) == set()


def test_a_spoilt_jar_and_a_killed_run_are_mended(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("jar", b"content")
    (tmp_path / jar.filename).write_bytes(b"spoilt!")
    (tmp_path / "fetch-killed").mkdir()
    jars.fetch([jar], tmp_path)
    assert names(tmp_path) == {jar.filename}
    assert jar.is_at(tmp_path / jar.filename)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OcopError, match="OCOP_CACHE"):
        jars.fetch([], tmp_path / "file" / "cache")


def test_the_lock_is_of_one_kafka() -> None:
    locked = jars.locked()
    assert len({jar.filename for jar in locked}) == len(locked) == 92
    assert {jar.version for jar in locked if jar.group == "org.apache.kafka"} == {kafka.VERSION}
    assert all(len(bytes.fromhex(jar.sha256)) == hashlib.sha256().digest_size for jar in locked)


def test_a_distribution_that_is_there_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCOP_KAFKA_HOME", str(tmp_path))
    with pytest.raises(OcopError, match="OCOP_KAFKA_HOME"):
        kafka.classpath()
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "kafka_2.13-4.3.1.jar").touch()
    assert kafka.classpath() == f"{tmp_path}/libs/*"
