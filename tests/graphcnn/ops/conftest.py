"""The executors that every claim about ops is made of, and all ops by name."""

import pytest

from graphcnn.op import REGISTRY
from tests.graphcnn.ops.executors import EXECUTORS, Executor


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]


@pytest.fixture(params=sorted(REGISTRY))
def op(request: pytest.FixtureRequest) -> str:
    return str(request.param)
