"""What papers say is there: settings, links, folders, commands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from gateway.settings import Settings as GatewaySettings
from national.settings import Settings as NationalSettings
from notifications.settings import Settings as NotificationsSettings
from pydantic_settings import BaseSettings

from ocop.__main__ import app
from servicekit.access import Tls
from servicekit.settings import Settings

ROOT = Path(__file__).parent.parent
PAPERS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("services/*/README.md"),
        *ROOT.glob("deploy/**/*.md"),
    ]
)


@pytest.mark.parametrize("settings", [Settings, Tls, GatewaySettings, NationalSettings, NotificationsSettings])
def test_every_setting_is_in_the_operators_page(settings: type[BaseSettings]) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    names = {f"{settings.model_config['env_prefix']}{name.upper()}" for name in settings.model_fields}
    assert {name for name in names if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(paper: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", paper.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (paper.parent / target).exists()] == []


def test_each_service_has_its_page() -> None:
    for service in (ROOT / "services").iterdir():
        assert (service / "README.md").is_file(), service


def test_the_delivery_page_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "delivery.md").read_text()
    named = set(re.findall(r"`((?:\w+/)*test_\w+\.py)`", page))
    assert named
    assert {name for name in named if not (ROOT / "tests" / name).exists()} == set()


# Where a command begins: a line, after another one, as a value, by compose, by kubectl.
BEGINS = re.compile(r"(?:^\s*|[;|&]\s*|\$\(|docker compose run (?:--\S+ )*|exec .* -- )ocop (?=[a-z<…])")
# Of each page at least so many, so that none is passed over unseen.
COMMANDS = {"docs/operations.md": 70, "docs/runbook.md": 30, "README.md": 6, "deploy/k8s/README.md": 2}


def commands(page: str) -> Iterator[str]:
    """What a page gives to `ocop`, in blocks and between backticks, from its subcommand on."""
    pieces = page.split("```")
    lines = [line for block in pieces[1::2] for line in block.splitlines()]
    lines += [" ".join(code.split()) for text in pieces[::2] for code in re.findall(r"`([^`]+)`", text)]
    for line in lines:
        for begin in BEGINS.finditer(line):
            yield re.split(r"\s#|;|\||&|\)", line[begin.end() :])[0].strip()


def mistake(command: str) -> str | None:
    """What the command line would say of its names and options. Placeholders are arguments, `…` any words, and what is
    in brackets may be left out; an argument that lacks is no mistake, for pages name commands also without."""
    words = shlex.split(re.sub(r"<[^>]*>", "1", re.sub(r"[\[\]]", "", command)))
    here = typer.main.get_command(app)
    while (within := getattr(here, "commands", None)) is not None:
        if not words or words[0] == "…":
            return None
        if (name := words.pop(0)) not in within:
            return f"no command {name}"
        here = within[name]
    try:
        _, left, _ = here.make_parser(typer.Context(here)).parse_args(words)
    except Exception as error:  # of whichever click typer has within
        return str(error)
    return f"too much: {left}" if left and left != ["…"] else None


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_are_those_of_the_command_line(paper: Path) -> None:
    found = list(commands(paper.read_text()))
    assert len(found) >= COMMANDS.get(str(paper.relative_to(ROOT)), 0)
    assert {command: said for command in found if (said := mistake(command))} == {}


@pytest.mark.parametrize(
    "wrong",
    [
        "```\nocop dlq skipp registry 17\n```",
        '```\nocop dlq skip registry 17 --resaon "…"    # why\n```',
        "```\nocop tenant list ; ocop tenant lists\n```",
        "```\nKEY=$(ocop tenant rotated 2025-68)\n```",
        "```\ndocker compose run --rm --no-deps ocop adoptt registry\n```",
        "```\nkubectl -n ocop exec -it deploy/operator -- ocop oracle --qiet\n```",
        "```\nocop waiting registry evaluation\n```",
        "`ocop dlq retry <service> --eror <kind> --dry-run`, and `ocop dlq retry <service> --row <row>`",
        "see `ocop consumer\n  stauts <service>`",
    ],
)
def test_a_command_that_is_not_there_is_noticed(wrong: str) -> None:
    assert len([command for command in commands(wrong) if mistake(command)]) == 1


def test_what_is_no_command_is_passed_over() -> None:
    text = "```\nkubectl -n ocop scale deploy/operator --replicas=1\nocop-interconnect:local --system ocop nothing\n```"
    assert list(commands(text + " `ocop/backups`, `python -m ocop.passwords`, `kubectl cnpg psql -n ocop db`")) == []


@pytest.mark.parametrize("page", COMMANDS)
def test_a_command_by_compose_leaves_services_as_they_are(page: str) -> None:
    """`run` alone starts what was stopped for a repair; the demo wants all of them up."""
    starts = re.findall(r"docker compose run (?!.*--no-deps)(?:--\S+ )*ocop (\S+)", (ROOT / page).read_text())
    assert set(starts) <= {"demo"}
