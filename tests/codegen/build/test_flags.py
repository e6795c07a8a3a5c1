"""Which flags a compiler is given."""

from collections.abc import Callable, Sequence

import pytest

from codegen.build import build, find_toolchain
from codegen.build.flags import OPTIONAL, PROFILES, choose_flags, profile_flags

FAVOURITES = tuple(spellings[0] for spellings in OPTIONAL)


def test_a_compiler_that_takes_all_flags_is_asked_once() -> None:
    questions: list[Sequence[str]] = []

    def accepts(flags: Sequence[str]) -> bool:
        questions.append(flags)
        return True

    assert choose_flags(accepts) == FAVOURITES
    assert questions == [FAVOURITES]


@pytest.mark.parametrize("bad", FAVOURITES)
def test_one_unsupported_flag_costs_no_other(bad: str) -> None:
    chosen = choose_flags(lambda flags: bad not in flags)
    assert bad not in chosen
    assert set(FAVOURITES) - {bad} <= set(chosen)


def test_a_flag_has_a_second_spelling() -> None:
    assert "-mcpu=native" in choose_flags(lambda flags: "-march=native" not in flags)


def test_a_compiler_that_takes_nothing_is_given_nothing() -> None:
    assert choose_flags(lambda flags: False) == ()


def test_a_real_compiler_without_march_native_goes_without(
    write_compiler: Callable[[str, str], str],
) -> None:
    picky = write_compiler(
        "picky", 'case "$*" in *-march=native*) echo "error: unknown -march" >&2; exit 1;; esac'
    )
    toolchain = find_toolchain(picky)
    assert toolchain is not None
    assert "-march=native" not in toolchain.compile_flags
    assert "-fno-math-errno" in toolchain.compile_flags
    assert build({"one": "int one(void) { return 1; }"}, "int one(void);", toolchain=toolchain)


def test_a_flag_that_only_warns_is_not_taken(write_compiler: Callable[[str, str], str]) -> None:
    hesitant = write_compiler(
        "hesitant",
        'case "$*" in\n'
        '*-Werror*-march=native*) echo "error: -march=native is unused" >&2; exit 1;;\n'
        '*-march=native*) echo "warning: -march=native is unused" >&2;;\n'
        "esac",
    )
    toolchain = find_toolchain(hesitant)
    assert toolchain is not None
    assert "-march=native" not in toolchain.compile_flags


def test_a_users_flag_that_warns_costs_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = find_toolchain("gcc")
    monkeypatch.setenv("CFLAGS", "-D__FILE__=0")  # redefining it warns
    toolchain = find_toolchain("gcc")
    assert ours is not None and toolchain is not None
    assert toolchain.compile_flags == (*ours.compile_flags, "-D__FILE__=0")


@pytest.mark.parametrize("profile", [*PROFILES, *(f"{name}+strict" for name in PROFILES)])
def test_no_profile_changes_the_mode_of_the_process(profile: str) -> None:
    assert not {"-ffast-math", "-Ofast", "-fopenmp"} & {*profile_flags(profile), *FAVOURITES}


@pytest.mark.parametrize("profile", ["", "fast", "strict", "release+", "release+strict+strict"])
def test_only_profiles_in_the_table_exist(profile: str) -> None:
    with pytest.raises(ValueError, match="unknown profile"):
        profile_flags(profile)
