"""What holds for all tests: no test is judged by the time that it takes (`make bench` measures)."""

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is no unit test, so that `make unit` is done within a minute."""
    for item in items:
        name = item.path.stem
        if name in INTEGRATION or name.startswith("test_sandbox_"):
            item.add_marker(pytest.mark.integration)
