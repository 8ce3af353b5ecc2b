"""Both interfaces as they describe themselves, tried by schemathesis: nothing is answered that they do not describe."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.delivery.system import system
from tests.engines import Databases
from tests.hostile import barrage
from tests.submissions import owner, product

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "40"))  # per operation and phase
SEED = os.environ.get("SCHEMATHESIS_SEED", "68")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


async def tried(url: str, *more: str, directory: Path) -> None:
    """Runs schemathesis on what is described there."""
    (directory / "schemathesis.toml").write_text('[parameters]\n"query.wait" = 0\n')  # else it would wait
    command = [
        str(Path(sys.executable).with_name("st")),
        *("--config-file", str(directory / "schemathesis.toml"), "--no-color"),
        *("run", f"{url}/openapi.json", "--checks", ",".join(CHECKS), "--seed", SEED),
        *("--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing", "--no-shrink"),
        *("--suppress-health-check", "all", "--continue-on-failure", "--generation-database", "none", *more),
    ]
    ran = await asyncio.to_thread(subprocess.run, command, cwd=directory, capture_output=True, text=True, check=False)
    print(ran.stdout)  # noqa: T201  # how many cases
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


async def test_no_answer_is_other_than_described(kafka_topics: str, databases: Databases, tmp_path: Path) -> None:
    async with system(kafka_topics, databases, tmp_path, ["gateway", "registry", "national"]) as under_test:
        await under_test.start_all(1, **barrage.SETTINGS)
        await under_test.submit([owner(id_="o"), product(id_="p"), product("SP-2", "CT-9", id_="waits")])
        await under_test.settled()
        key = await under_test.key("2025-68", "test")
        gateway, national = under_test.running("gateway")[0], under_test.running("national")[0]
        await asyncio.gather(
            tried(gateway.url, "-H", f"Authorization: Bearer {key}", directory=_made(tmp_path / "g")),
            tried(national.url, "--include-path-regex", "^/v1/", directory=_made(tmp_path / "n")),
        )
        for process in under_test.processes:
            assert barrage.accidents(process.log) == []
        await under_test.settled()


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
