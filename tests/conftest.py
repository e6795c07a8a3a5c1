"""What every test shares: Hypothesis profiles, golden files, one copy of the packages."""

import difflib
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent

# No deadline and no health check on time: the first example may compile C.
settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long",
    settings.get_profile("default"),
    derandomize=False,
    max_examples=1000,
    print_blob=True,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the tests produce to tests/golden instead of comparing with it",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what measures time while others work beside it."""
    if item.get_closest_marker("alone") and hasattr(item.config, "workerinput"):
        pytest.skip("measures time: run `pytest -m alone`")


def pytest_collection_finish() -> None:
    """Search for garbage less often, and not in what was imported: a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000)


@pytest.fixture(scope="session", autouse=True)
def _children_import_the_checkout() -> Iterator[None]:
    """Let processes started by a test import the packages under test, not an installed copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS.parent), prepend=os.pathsep)
        yield


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """A function of a file name and a text, which must equal that golden file.

    The file is ``tests/golden/<stem of the test file>/<name>``.
    """
    directory = TESTS / "golden" / request.path.stem
    update = request.config.getoption("--update-golden")

    def compare(name: str, text: str) -> None:
        __tracebackhide__ = True
        path = directory / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        elif complaint := golden_complaint(path, text):
            pytest.fail(complaint, pytrace=False)

    return compare


def golden_complaint(path: Path, text: str) -> str:
    r"""Say how a text differs from the golden file, or nothing.

    >>> directory = getfixture("tmp_path")
    >>> path = directory / "loss.txt"
    >>> print(golden_complaint(path, "y = x\n"))
    No golden file .../loss.txt; if this is right, run pytest with --update-golden:
    y = x

    >>> _ = path.write_text("y = x\nz = y\n")
    >>> golden_complaint(path, "y = x\nz = y\n")
    ''
    >>> print(golden_complaint(path, "y = x\nz = 2*y"))
    Not the golden file .../loss.txt; if this is right, run pytest with --update-golden:
    --- golden
    +++ new
    @@ -1,2 +1,2 @@
     y = x
    -z = y
    +z = 2*y
    \ No newline at end of file
    """
    if not path.exists():
        return f"No golden file {path}; if this is right, run pytest with --update-golden:\n{text}"
    # Bytes, because read_text would hide a difference in line ends.
    expected = path.read_bytes().decode()
    if text == expected:
        return ""
    lines = difflib.unified_diff(
        expected.splitlines(keepends=True), text.splitlines(keepends=True), "golden", "new"
    )
    marked = (
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
    return (
        f"Not the golden file {path}; if this is right, run pytest with --update-golden:\n"
        + "".join(marked).rstrip("\n")
    )
