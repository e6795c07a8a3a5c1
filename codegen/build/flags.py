r"""The table of compiler flags: what each is for, and which ones this compiler takes.

    release            the fast one
    debug              for a debugger
    sanitize           reports every bad address and undefined operation
    ... + "+strict"    warnings are errors, for the tests of generated C

`CFLAGS` and `LDFLAGS` of the environment follow ours, so they win, and they are part of a
library's key. Never `-ffast-math`: linking with it changes the floating-point mode of the whole
process. Never OpenMP: two of its runtimes in one process are a known misery.
"""

from collections.abc import Callable, Sequence

# GNU and not strict C: the vector extensions and the runtime's POSIX calls are GNU spellings.
REQUIRED = ("-std=gnu11", "-fPIC")

PROFILES = {
    "release": ("-O3",),
    "debug": ("-O0", "-g"),
    "sanitize": (
        "-O1",
        "-g",
        "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ),
}

# But for subscripts: gcc finds wrong ones on paths that it makes itself and nothing ever takes, as
# where a task is negative. The sanitizers see those that are.
STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-array-bounds")

# Each row is a wish, spelled in order of preference; a compiler that takes no spelling goes
# without. All profiles share them, so that debug and release differ in optimisation alone.
OPTIONAL = (
    ("-march=native", "-mcpu=native"),
    ("-fno-math-errno",),  # sqrt becomes one instruction
    ("-fno-trapping-math",),  # a choice becomes a blend
    ("-ffp-contract=fast",),  # a*b + c becomes one fused instruction
    # It keeps what the next iteration reads again in registers, of which a register tile has none.
    ("-fno-predictive-commoning",),
    # Each loop has registers of its own: else pointers that wait around a register tile may have
    # vector registers, and what the tile holds is read from the stack in every step.
    ("-fira-region=all",),
    ("-fno-semantic-interposition",),  # our functions may be inlined into each other
    ("-pthread",),
    ("-Wl,-Bsymbolic",),  # a function named like one of libc's stays ours
    ("-Wl,-z,defs",),  # an undefined name fails at the link, not at the call
    ("-lm",),
)


def profile_flags(profile: str) -> tuple[str, ...]:
    """The flags of `"release"`, or of profiles and `strict` joined by a plus sign.

    >>> profile_flags("debug+strict")
    ('-std=gnu11', '-fPIC', '-O0', '-g', '-Wall', '-Wextra', '-Werror', '-Wno-array-bounds')

    Raises ValueError for a name that is in no table.
    """
    base, *additions = profile.split("+")
    if base not in PROFILES or additions not in ([], ["strict"]):
        known = ", ".join(PROFILES)
        raise ValueError(f"unknown profile {profile!r}: one of {known}, optionally with '+strict'")
    return (*REQUIRED, *PROFILES[base], *(STRICT if additions else ()))


def choose_flags(accepts: Callable[[Sequence[str]], bool]) -> tuple[str, ...]:
    """The optional flags for which `accepts` holds, all together: usually in one question.

    >>> choose_flags(lambda flags: "-march=native" not in flags)[:2]
    ('-mcpu=native', '-fno-math-errno')
    """
    favourites = tuple(spellings[0] for spellings in OPTIONAL)
    if accepts(favourites):
        return favourites
    chosen: tuple[str, ...] = ()
    for spellings in OPTIONAL:
        for flag in spellings:
            if accepts((*chosen, flag)):
                chosen += (flag,)
                break
    return chosen


def is_link_flag(flag: str) -> bool:
    """Whether the flag is for the linker, and so must follow what it links."""
    return flag.startswith(("-l", "-Wl,"))
