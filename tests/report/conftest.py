import pytest
from report_world import World


@pytest.fixture
def world() -> World:
    return World()
