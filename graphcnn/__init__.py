"""Convolutional networks whose gradients are derived, drawn and compiled to C.

>>> import graphcnn as g
>>> x = g.input("x", (g.dim("N"), 3))
>>> loss = g.sum(g.relu(x) ** 2)
>>> g.grad(loss, x).shape
(N, 3)
"""

from graphcnn import init
from graphcnn.backward import grad
from graphcnn.compile import Step, compile
from graphcnn.draw import draw
from graphcnn.errors import CallError, DTypeError, GradientError, GraphError, ShapeError
from graphcnn.fit import batches, fit
from graphcnn.graph import Graph, Node, Parameter, constant, dim, input, parameter
from graphcnn.lint import lint
from graphcnn.matrix import as_matrix
from graphcnn.ops.activation import (
    elu,
    gelu,
    hardtanh,
    leaky_relu,
    relu,
    relu6,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from graphcnn.ops.arithmetic import (
    abs_ as abs,
)
from graphcnn.ops.arithmetic import (
    add,
    clip,
    divide,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    reciprocal,
    square,
    subtract,
)
from graphcnn.ops.comparison import (
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    not_equal,
    where,
)
from graphcnn.ops.convolution import (
    conv2d,
    conv_transpose2d,
)
from graphcnn.ops.elementary import (
    cos,
    erf,
    exp,
    expm1,
    log,
    log1p,
    sin,
    sqrt,
)
from graphcnn.ops.joining import (
    concatenate,
    pad,
    stack,
)
from graphcnn.ops.joining import (
    slice_ as slice,
)
from graphcnn.ops.losses import (
    l2,
    mse,
)
from graphcnn.ops.passing import (
    astype,
    stop_gradient,
)
from graphcnn.ops.pooling import (
    avg_pool2d,
    global_avg_pool2d,
    global_max_pool2d,
    max_pool2d,
)
from graphcnn.ops.products import (
    linear,
    matmul,
)
from graphcnn.ops.reduction import (
    argmax,
    argmin,
    logsumexp,
    mean,
    std,
    var,
)
from graphcnn.ops.reduction import (
    max_ as max,
)
from graphcnn.ops.reduction import (
    min_ as min,
)
from graphcnn.ops.reduction import (
    sum_ as sum,
)
from graphcnn.ops.shape import (
    broadcast_to,
    expand_dims,
    flatten,
    flip,
    reshape,
    squeeze,
    transpose,
)
from graphcnn.ops.softmax import (
    log_softmax,
    multiclass_hinge,
    nll,
    softmax,
    softmax_cross_entropy,
)
from graphcnn.optim import adam, rmsprop, sgd, trainable
from graphcnn.receptive import receptive_field
from graphcnn.scope import scope
from graphcnn.sizes import output_size, same_padding
from graphcnn.summary import summary

__all__ = [
    "CallError",
    "DTypeError",
    "GradientError",
    "Graph",
    "GraphError",
    "Node",
    "Parameter",
    "ShapeError",
    "Step",
    "abs",
    "adam",
    "add",
    "argmax",
    "argmin",
    "as_matrix",
    "astype",
    "avg_pool2d",
    "batches",
    "broadcast_to",
    "clip",
    "compile",
    "concatenate",
    "constant",
    "conv2d",
    "conv_transpose2d",
    "cos",
    "dim",
    "divide",
    "draw",
    "elu",
    "equal",
    "erf",
    "exp",
    "expand_dims",
    "expm1",
    "fit",
    "flatten",
    "flip",
    "gelu",
    "global_avg_pool2d",
    "global_max_pool2d",
    "grad",
    "greater",
    "greater_equal",
    "hardtanh",
    "init",
    "input",
    "l2",
    "leaky_relu",
    "less",
    "less_equal",
    "linear",
    "lint",
    "log",
    "log1p",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mse",
    "multiclass_hinge",
    "multiply",
    "negative",
    "nll",
    "not_equal",
    "output_size",
    "pad",
    "parameter",
    "power",
    "receptive_field",
    "reciprocal",
    "relu",
    "relu6",
    "reshape",
    "rmsprop",
    "same_padding",
    "scope",
    "sgd",
    "sigmoid",
    "silu",
    "sin",
    "slice",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "summary",
    "tanh",
    "trainable",
    "transpose",
    "var",
    "where",
]
