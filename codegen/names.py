"""Names for C: the user's own where C allows them, escaped and made unique where it does not.

And names of what the compiler adds, which are none of the user's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from codegen.affine import Dim, Index
from codegen.notation import Tensor

RESERVED = frozenset(
    """
    auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef
    union unsigned void volatile while _Bool _Complex _Imaginary bool true false NULL main asm
    typeof alignas alignof int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t
    size_t ptrdiff_t class new delete this template operator private public protected
    namespace using try catch throw exp log expf logf sqrt sqrtf tanh tanhf pow powf erf erff
    fabs fabsf sin cos sinf cosf floor ceil log1p expm1 y0 y1 yn j0 j1 jn index time signal
    abs round trunc fmin fmax INFINITY NAN isnan imin imax floor_div ceil_div arrays workspace
    dims at inline errno stdin stdout stderr unix linux bytes before floorf ceilf log1pf expm1f
    sum_lanes sum_lanesf float_mode flush_denormals restore_mode UNUSED
    exp_f32 log_f32 expm1_f32 log1p_f32 tanh_f32 erf_f32 sin_f32 cos_f32 pow_f32 to_bits from_bits
    split_exponent power_of_two exp_tail exp_near_zero log_near_one split_mantissa reduce_angle
    sin_or_cos log2_slope is_integer exponent_and_rest mantissa_and_exponent angle
    muladdf muladd STREAM PAST WHOLE END_OF_STREAM TRANSPOSE UNROLL LOW4 LOW8 LOW16 HIGH4 HIGH8
    HIGH16 transpose_float32x16 transpose_float32x8 transpose_float32x4 transpose_float64x8
    transpose_float64x4 float32x2 float32x4 float32x8 float32x16 float64x2 float64x4 float64x8
    SMALLEST LARGEST SIGN ONE ROOT_HALF ROUND ROUND64 LOG2_HIGH LOG2_LOW HALF_PI
    WINDOW ALIGNED LANES FETCH AHEAD HOLD APART SAME REGISTER
    team team_body team_of share call given first last task
    NFDBITS WCONTINUED WEXITED WNOHANG WNOWAIT WSTOPPED WUNTRACED DOMAIN SING OVERFLOW UNDERFLOW
    PLOSS TLOSS HUGE MAXFLOAT math_errhandling signgam
    """.split()  # noqa: SIM905 (a hundred words read better as text)
)
"""Keywords of C and C++, names of the C library, and what generated code itself calls things."""


# Words that the C library's headers, which differ from system to system, may use as macros: M_PI,
# INT64_MAX, RAND_MAX.
_OWNED = re.compile(r"(M|[A-Z][A-Z0-9]+)_[A-Z0-9_]*[A-Z][A-Z0-9_]*")


def unused(name: str, taken: Collection[str]) -> str:
    """The name, or one like it that is not taken."""
    while name in taken:
        name += "_"
    return name


def identifier(name: str) -> str:
    """Give a C identifier that reads like the name.

    >>> identifier("conv1"), identifier("café 1"), identifier('"); system("x'), identifier("2x")
    ('conv1', 'caf_1', 'system_x', 'v2x')
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60]
    return plain if plain and not plain[0].isdigit() else f"v{plain}"


class Names:
    """The C names of one program: no two things share one, and no keyword is taken."""

    def __init__(
        self, tensors: Iterable[Tensor], dims: Iterable[Dim], letters: Iterable[Index] = ()
    ) -> None:
        dims = tuple(dims)
        self._taken = set(RESERVED)
        self._locals: set[str] = set()
        self._tensors: dict[str, str] = {}
        self._shared: dict[str, str] = {}
        self._symbols: dict[Any, str] = {}
        for symbol in (*dims, *letters):
            self.letter(symbol)
        self.dims = tuple(self.letter(d) for d in dims)
        for tensor in tensors:
            if tensor.name not in self._tensors:
                self._tensors[tensor.name] = self._claim(identifier(tensor.name))
        self._fresh: dict[str, int] = {}

    def _claim(self, wanted: str) -> str:
        wanted = f"v{wanted}" if _OWNED.fullmatch(wanted) else wanted
        name, count = wanted, 1
        while name in self._taken or name in self._locals:
            name, count = f"{wanted}_{count}", count + 1
        self._taken.add(name)
        return name

    def tensor(self, tensor: Tensor) -> str:
        """The name of a tensor's array."""
        return self._shared.get(tensor.name, self._tensors[tensor.name])

    def alias(self, tensor: Tensor, other: Tensor) -> None:
        """Let a tensor that lives in the memory of another go by that one's name."""
        self._tensors[tensor.name] = self._tensors[other.name]

    def letter(self, symbol: Any) -> str:
        """The name of an index or a size."""
        if symbol not in self._symbols:
            self._symbols[symbol] = self._claim(identifier(symbol.name))
        return self._symbols[symbol]

    def function(self, tensor: Tensor) -> str:
        """A name for the function that computes a tensor."""
        return self._claim(f"compute_{self._tensors[tensor.name]}")

    def local(self, tensor: Tensor) -> str:
        """The name of the scalar that holds one element of a tensor; no other name ends so."""
        return f"{self._tensors[tensor.name]}_"

    def fresh(self, base: str) -> str:
        """A new local name; the same sequence of calls gives the same names."""
        count = self._fresh.get(base, 0)
        self._fresh[base] = count + 1
        name, again = f"{base}{count or ''}", 0
        while name in self._taken:
            name, again = f"{base}{count or ''}_{again}", again + 1
        self._locals.add(name)
        return name

    def restart(self, over: Mapping[Tensor, Tensor] = MappingProxyType({})) -> None:
        """Start another function: local names are numbered anew.

        In it, tensors that are written `over` another one go by that one's name.
        """
        self._fresh.clear()
        self._shared = {t.name: self._tensors[other.name] for t, other in over.items()}
