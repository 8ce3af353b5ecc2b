"""Who may import whom, where a list of what is allowed says it better than import-linter's list of what is not."""

import sys

import grimp
import pytest

# The third-party packages of a part; all else of its imports is the standard library or said by import-linter.
ALLOWED = {
    "contracts": {"contracts", "pydantic", "pydantic_core", "rfc8785"},
    "domain": {"contracts", "pydantic", "dateutil"},
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    packages = ("gateway", "registry", "evaluation", "marketplace_sync", "notifications", "national")
    return grimp.build_graph("contracts", "servicekit", *packages, include_external_packages=True)


def imported(graph: grimp.ImportGraph, module: str) -> set[str]:
    """The top-level packages outside the standard library that a module imports itself."""
    tops = {name.split(".")[0] for name in graph.find_modules_directly_imported_by(module)}
    return tops - sys.stdlib_module_names


def test_contracts_import_pydantic_only(graph: grimp.ImportGraph) -> None:
    modules = {"contracts", *graph.find_descendants("contracts")}
    assert len(modules) > 5
    strangers = {module: found for module in modules if (found := imported(graph, module) - ALLOWED["contracts"])}
    assert strangers == {}


def test_domain_code_imports_contracts_only(graph: grimp.ImportGraph) -> None:
    modules = {module for module in graph.modules if module.endswith(".domain")}
    assert modules
    for module in modules:
        own = module.split(".", maxsplit=1)[0]
        assert imported(graph, module) <= ALLOWED["domain"] | {own}, module
