"""What holds for all tests: no test is judged by the time that it takes (`make bench` measures)."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

INTEGRATION = {
    "test_aws_door",
    "test_bootstrap",
    "test_bootstrap_apply",
    "test_command_roles",
    "test_docs",
    "test_doctor",
    "test_inventory_github",
    "test_new",
    "test_operations_admission",
    "test_operations_adopt",
    "test_operations_audit",
    "test_operations_empty",
    "test_operations_list",
    "test_operations_replicas",
    "test_operations_rescan",
    "test_operations_usage",
    "test_push_workflow",
    "test_registry_settings",
    "test_shards",
    "test_simulator_differential",
    "test_webhook",
    "test_workflows",
}
"""Tests of many parts together, of shells or of servers, beside those of the sandbox itself."""


ALONE = {"engine", "images", "kubernetes", "browser"}
"""Folders of tests that need an engine, image clients, a cluster or a browser: two run side by side."""


def _is_unit(path: Path) -> bool:
    integration = path.stem in INTEGRATION or path.stem.startswith("test_sandbox_")
    return not integration and not ALONE & set(path.parts[-2:])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing that `make unit` leaves out: half of its time would go there."""
    only_units = str(config.option.markexpr).startswith("not integration")
    return True if only_units and not _is_unit(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is no unit test, so that `make unit` is done within a minute."""
    for item in items:
        if not _is_unit(item.path) and not ALONE & set(item.path.parts[-2:]):
            item.add_marker(pytest.mark.integration)
