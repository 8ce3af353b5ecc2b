"""The alerts as the Prometheus operator takes them, written from `deploy/alerts/rules.yml`; `--check` compares."""

import sys
from pathlib import Path
from typing import Final

from deploy import generated

SOURCE: Final = Path(__file__).parent.parent / "alerts" / "rules.yml"
TARGET: Final = Path(__file__).parent / "cluster" / "monitoring" / "rules.yaml"
HEAD: Final = """\
# Written by `python -m deploy.k8s.alerts` from deploy/alerts/rules.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ocop
spec:
"""


def manifest() -> str:
    """The rules within their object."""
    lines = SOURCE.read_text().splitlines()
    rules = lines[lines.index("groups:") :]
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in rules)


def main(arguments: list[str]) -> int:
    """The command; its exit status."""
    return generated.command({TARGET: manifest()}, "deploy.k8s.alerts", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
