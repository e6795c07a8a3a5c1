"""The executors that every claim about ops is made of, all ops by name, a cache of one's own."""

from collections.abc import Iterator

import pytest

from codegen.build.cache import DIRECTORY_VARIABLE
from graphcnn.op import REGISTRY
from tests.graphcnn.ops.executors import EXECUTORS, Executor


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    return EXECUTORS[request.param]


@pytest.fixture(params=sorted(REGISTRY))
def op(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is compiled before the tests of a file that uses this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DIRECTORY_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield
