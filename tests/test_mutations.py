"""The mutations can be tried: their texts are where they say, and so are the tests."""

from pathlib import Path

import pytest

from tests.mutation.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parent.parent
LEAST = 30


def test_there_are_enough() -> None:
    assert len({m.what for m in MUTATIONS}) == len(MUTATIONS) >= LEAST


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.what)
def test_a_mutation_changes_one_place_and_names_tests(mutation: Mutation) -> None:
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old) == 1
    assert mutation.old != mutation.new
    assert mutation.tests
    assert all((ROOT / test.partition("::")[0]).is_file() for test in mutation.tests)
