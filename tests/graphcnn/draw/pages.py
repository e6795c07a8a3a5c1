"""Pictures that pages are made of in tests, and names that must do nothing there."""

from dataclasses import replace
from functools import cache

from graphcnn.draw.labels import cleaned
from graphcnn.draw.page import to_page
from graphcnn.draw.picture import Arrow, Box, Detail, Heat, Picture, Span, Value
from graphcnn.draw.render import to_image
from graphcnn.draw.roles import DOWNSTREAM, INK, LOCAL, QUIET, UPSTREAM, Role

TEXTS = (INK, QUIET, LOCAL, UPSTREAM, DOWNSTREAM)
PAPERS = ("#ffffff", "#fafafa"), ("#13161b", "#1b2027")  # of the style sheet, light and dark
ATTACK = "</script><script>hacked = 1</script><img src=x onerror='hacked = 2'>\"]]>"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'
HOSTILE = [
    ATTACK,
    "<svg onload=hacked=3>",
    "\u202eright to left\u202c שלום",
    "long " * 2000,
    "a\u2028b\u2029c \ud800 \\ ' \" &amp; {{data}} {{script}}",
]


def line(text: str, colour: str = INK) -> tuple[Span, ...]:
    return (Span(text, colour),)


def chain(names: list[str]) -> Picture:
    """Boxes in a row, each feeding the next."""
    boxes = tuple(
        Box(f"n{k}", Role.OP, ((Span(cleaned(name), bold=True),),)) for k, name in enumerate(names)
    )
    arrows = tuple(Arrow(f"n{k}", f"n{k + 1}", "2×3", main=True) for k in range(len(names) - 1))
    return Picture(boxes, arrows, roles=(Role.OP,), order=tuple((box.key,) for box in boxes))


def step() -> Picture:
    """z = x · y and its gradient at three moments, with every field of a picture filled."""
    boxes = (
        Box("n0", Role.INPUT, (line("x"), line("input", QUIET)), rounded=True),
        Box("n1", Role.PARAMETER, (line("y"),), rounded=True),
        Box("n2", Role.LOSS, (line("z  multiply"), line("z = x · y"))),
        Box("n3", Role.GRADIENT, (line("seed"),)),
        Box("n4", Role.GRADIENT, (line("multiply backward"), line("∂z/∂y = x", LOCAL))),
        Box("n4_0_result", Role.GRADIENT, (line("∂L/∂y", DOWNSTREAM),), rounded=True),
    )
    arrows = (
        Arrow("n0", "n2", "scalar", values=("2.00", "3.00", "4.00")),
        Arrow("n1", "n2", "scalar", main=True),
        Arrow("n3", "n4", "∂L/∂z", (UPSTREAM,), up=True),
        Arrow("n4", "n4_0_result", "∂L/∂y", (DOWNSTREAM, UPSTREAM), up=True),
    )
    heat = Heat((bytes([0, 128, 255]), bytes([255, 0, 128])), -1.5, 2.0)
    moments = tuple(Value(f"z at moment {k}", heat) for k in range(3))
    product = Detail(
        "z",
        (("shape", "4×5"), ("line", "net.py:3")),
        (line("z = x · y"), (Span("∂z/∂y = x", LOCAL), Span("2", subscript=True))),
        "z[i] = x[i] * y[i];",
        ((Span("z", DOWNSTREAM), moments),),
    )
    names = ("x", "y", "z", "seed", "multiply backward", "∂L/∂y")
    return Picture(
        boxes,
        arrows,
        pairs=(("n2", "n4"),),
        roles=(Role.INPUT, Role.PARAMETER, Role.LOSS, Role.GRADIENT),
        frames=("step 0", "step 10", "step 20"),
        order=(("n0", "n1"), ("n2", "n3"), ("n4",), ("n4_0_result",)),
        details=tuple(product if name == "z" else Detail(name) for name in names),
    )


def thousand() -> Picture:
    """A residual net of a thousand boxes with a detail each: 500 layers and their parameters."""
    names = [f"layer{k}" for k in range(500)]
    picture = chain(names)
    formula = line("y[n,k,i,j] = b[k] + Σ x[n,c,i+u−1,j+v−1]·w[k,c,u,v]")
    layers = tuple(
        replace(box, lines=(*box.lines, formula, line("padding=1", QUIET))) for box in picture.boxes
    )
    sources = tuple(Box(f"w{k}", Role.PARAMETER, (line(f"w{k}"),), True) for k in range(500))
    feeds = tuple(Arrow(f"w{k}", f"n{k}", "16×16×3×3") for k in range(500))
    skips = tuple(Arrow(f"n{k}", f"n{k + 3}", "N×16×8×8") for k in range(0, 490, 10))
    loops = "".join(f"for (int {i} = 0; {i} < 16; {i}++)\n" for i in "nkijcuv")
    details = tuple(
        Detail(
            box.key,
            (("shape", "N×16×8×8"), ("dtype", "float32"), ("line", f"net.py:{k}, in build")),
            (formula,),
            f"static void f{k}(const float *restrict x{k}, float *restrict y{k})\n{loops}" * 2,
            ((Span("y"), (Value("0.1 0.2 0.3", Heat((bytes(range(16)),) * 16, 0.0, k / 7)),)),),
        )
        for k, box in enumerate(layers + sources)
    )
    return replace(
        picture,
        boxes=layers + sources,
        arrows=picture.arrows + feeds + skips,
        order=(tuple(box.key for box in sources), *picture.order),
        details=details,
    )


@cache
def page(picture: Picture, title: str = "graphcnn") -> str:
    return to_page(picture, to_image(picture, "svg").decode(), title)
