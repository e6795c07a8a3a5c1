"""A cache of its own for the compiler's tests: what they time and count starts from nothing."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHCNN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield
