"""Three classifiers of the same digits, two losses, two conventions for ε: what each is worth.

    scores   linear W·x, an MLP of one hidden layer, a CNN of two convolutions
    loss     softmax with cross-entropy, or the multiclass hinge loss; both with λ·Σ W²
    RMSProp  W ← W − α·g / (√E + ε), or / √(E + ε)

The 1,797 digits of 8×8 pixels come with scikit-learn; a fifth of them is never trained on.

    python examples/14_classifiers.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits

import graphcnn as g

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OUT = Path("out")
OUT.mkdir(exist_ok=True)
EPOCHS, TEST = 20, 360

digits = load_digits()
images = (digits.images[:, None] / 16).astype(np.float32)
labels = digits.target.astype(np.int32)
order = np.random.default_rng(0).permutation(len(images))
test, train = order[:TEST], order[TEST:]
seen = {"x": images[train], "label": labels[train]}

N = g.dim("N")
x, label = g.input("x", (N, 1, 8, 8)), g.input("label", (N,), dtype="int32")


def layer(name: str, *shape: int) -> tuple[g.Parameter, g.Parameter]:
    """Give the weight and the bias of a layer; the same each time, so that runs compare."""
    weight = g.parameter(f"{name}.weight", g.init.he(shape, seed=sum(shape)))
    return weight, g.parameter(f"{name}.bias", g.init.zeros(shape[0]))


def linear() -> g.Node:
    """Give scores that are weighted sums of pixels."""
    return g.linear(g.flatten(x), *layer("scores", 10, 64))


def mlp() -> g.Node:
    """Give scores through 64 hidden units."""
    hidden = g.relu(g.linear(g.flatten(x), *layer("hidden", 64, 64)))
    return g.linear(hidden, *layer("scores", 10, 64))


def cnn() -> g.Node:
    """Give scores through two convolutions."""
    maps = g.max_pool2d(g.relu(g.conv2d(x, *layer("conv1", 16, 1, 3, 3), padding=1)), 2)
    maps = g.max_pool2d(g.relu(g.conv2d(maps, *layer("conv2", 32, 16, 3, 3), padding=1)), 2)
    return g.linear(g.flatten(maps), *layer("scores", 10, 128))


LOSSES = {"softmax": g.softmax_cross_entropy, "hinge": g.multiclass_hinge}
MODES = ("outside", "inside")


def trained(network: object, loss_of: object, mode: str) -> tuple[float, float]:
    """Give the shares of digits named rightly, of those trained on and of the others."""
    scores = network()  # type: ignore[operator]
    data_loss = g.mean(loss_of(scores, label))  # type: ignore[operator]
    weights = [p for p in g.trainable(data_loss) if p.name.endswith("weight")]
    loss = data_loss + g.l2(weights, 1e-4)
    # Within the root it is √ε that counts: 10⁻⁷ as much as 3·10⁻⁴ outside, where gradients vanish.
    eps = 1e-8 if mode == "outside" else 1e-7
    updates = g.rmsprop(loss, lr=1e-3, alpha=0.95, eps=eps, eps_mode=mode)
    g.fit(g.compile(loss, updates=updates), seen, epochs=EPOCHS, batch=32, seed=1)
    named = g.compile(scores)(x=images).argmax(axis=1) == labels
    return float(named[train].mean()), float(named[test].mean())


found = {
    (network.__name__, loss, mode): trained(network, LOSSES[loss], mode)
    for network in (linear, mlp, cnn)
    for loss in LOSSES
    for mode in MODES
}
print("network  loss     ε        trained on  unseen")
for (network, loss, mode), (known, unseen) in found.items():
    print(f"{network:8} {loss:8} {mode:8} {known:9.1%} {unseen:8.1%}")

unseen = {
    network: np.mean([u for (n, _, _), (_, u) in found.items() if n == network])
    for network in ("linear", "mlp", "cnn")
}
assert unseen["linear"] > 0.92
assert unseen["linear"] < unseen["mlp"] < unseen["cnn"]
assert unseen["cnn"] > 0.97
for network in unseen:
    for loss in LOSSES:
        outside, inside = (found[network, loss, mode][1] for mode in MODES)
        assert abs(outside - inside) < 0.02, "where ε is matters for tiny gradients only"

figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for k, (loss, mode) in enumerate((loss, mode) for loss in LOSSES for mode in MODES):
    wrong = [100 * (1 - found[network, loss, mode][1]) for network in unseen]
    axes.bar(np.arange(3) + 0.2 * k - 0.3, wrong, 0.18, label=f"{loss}, ε {mode}")
axes.set(xticks=range(3), xticklabels=["linear", "MLP", "CNN"], ylabel="unseen digits wrong, %")
axes.legend()
figure.savefig(OUT / "14_classifiers.png", dpi=100)
print("out/14_classifiers.png")
