"""The alerts as the Prometheus operator takes them, written from `deploy/alerts/*.yml`; `--check` compares."""

import sys
from pathlib import Path
from typing import Final

from deploy import generated

SOURCES: Final = [Path(__file__).parent.parent / "alerts" / name for name in ("rules.yml", "engines.yml")]
TARGET: Final = Path(__file__).parent / "cluster" / "monitoring" / "rules.yaml"
HEAD: Final = """\
# Written by `python -m deploy.k8s.alerts` from deploy/alerts/rules.yml and engines.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ocop
spec:
  groups:
"""


def manifest() -> str:
    """The rules within their object."""
    return HEAD + "\n".join(_groups(source) for source in SOURCES)


def _groups(source: Path) -> str:
    lines = source.read_text().splitlines()
    return "".join(f"  {line}\n" if line else "\n" for line in lines[lines.index("groups:") + 1 :])


def main(arguments: list[str]) -> int:
    """The command; its exit status."""
    return generated.command({TARGET: manifest()}, "deploy.k8s.alerts", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
