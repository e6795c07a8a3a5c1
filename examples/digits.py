"""Train a LeNet-like network on handwritten digits: forward, backward and update in one C call.

The 1,797 digits (8×8 pixels) come with scikit-learn. A fifth of them, 360 chosen by a seeded
shuffle, is never trained on. Everything worth seeing is left in `out/`: the forward and the
gradient-flow picture, a page to explore them in, the generated C, the memory report and the loss
curve.

    python examples/digits.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import graphcnn as g

matplotlib.use("Agg")
import matplotlib.pyplot as plt

EPOCHS, BATCH, TEST, SEED = 30, 32, 360, 0
OUT = Path("out")

# -- data ---------------------------------------------------------------------------------------

digits = load_digits()
images = (digits.images[:, None] / 16).astype(np.float32)
labels = digits.target.astype(np.int32)
rng = np.random.default_rng(SEED)
shuffled = rng.permutation(len(images))
test, train = shuffled[:TEST], shuffled[TEST:]

# -- network ------------------------------------------------------------------------------------

N = g.dim("N")  # one compile serves every batch size
image = g.input("image", (N, 1, 8, 8))
label = g.input("label", (N,), dtype="int32")


def layer(name: str, *shape: int) -> tuple[g.Parameter, g.Parameter]:
    """Give the weight and the bias of a layer."""
    weight = g.parameter(f"{name}.weight", g.init.he(shape, seed=rng))
    return weight, g.parameter(f"{name}.bias", g.init.zeros(shape[0]))


conv1, conv2 = layer("conv1", 32, 1, 3, 3), layer("conv2", 64, 32, 3, 3)
full1, full2 = layer("full1", 128, 256), layer("full2", 10, 128)

maps = g.max_pool2d(g.relu(g.conv2d(image, *conv1, padding=1, name="conv1")), 2, name="pool1")
maps = g.max_pool2d(g.relu(g.conv2d(maps, *conv2, padding=1, name="conv2")), 2, name="pool2")
hidden = g.relu(g.linear(g.flatten(maps), *full1, name="full1"))
scores = g.linear(hidden, *full2, name="scores")

data_loss = g.mean(g.softmax_cross_entropy(scores, label), name="data loss")
weights = [conv1[0], conv2[0], full1[0], full2[0]]
loss = data_loss
for weight in weights:
    loss = loss + g.l2(weight, 1e-4)

# -- compile ------------------------------------------------------------------------------------

rate = g.input("rate")
step = g.compile(loss, updates=g.rmsprop(loss, lr=rate, alpha=0.95), name="digits_step")
predict = g.compile(scores, name="digits_predict")


def accuracy(chosen: np.ndarray) -> float:
    """Give the share of digits named rightly."""
    return float(np.mean(predict(image=images[chosen]).argmax(axis=1) == labels[chosen]))


def shifted(batch: np.ndarray) -> np.ndarray:
    """Give every image moved by up to one pixel each way: more digits to learn from."""
    padded = np.pad(batch, ((0, 0), (0, 0), (1, 1), (1, 1)))
    corners = rng.integers(0, 3, (len(batch), 2))
    return np.stack([p[:, i : i + 8, j : j + 8] for p, (i, j) in zip(padded, corners, strict=True)])


# -- train --------------------------------------------------------------------------------------

losses = []
few = {"image": images[test[:8]], "label": labels[test[:8]]}
page = g.draw(data_loss, gradients=True).with_values(few, "untrained")
with tqdm(range(1, EPOCHS + 1), unit="epoch") as progress:
    for epoch in progress:
        order = rng.permutation(train)
        now = np.float32(2e-3 * (1 - (epoch - 1) / EPOCHS))  # the steps shrink towards the end
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            loss_now = step(image=shifted(images[chosen]), label=labels[chosen], rate=now)
            losses.append(float(loss_now))
        if epoch % 10 == 0:
            page = page.with_values(few, f"epoch {epoch}")
        tqdm.write(
            f"epoch {epoch:2d}  loss {np.mean(losses[-45:]):.4f}  "
            f"train {accuracy(train):.4f}  test {accuracy(test):.4f}"
        )

# -- leave what is worth seeing -------------------------------------------------------------------

OUT.mkdir(exist_ok=True)
g.draw(loss).save(OUT / "forward.svg")
g.draw(loss, gradients=True).save(OUT / "gradients.svg")
page.save(OUT / "gradients.html")  # a slider shows the values before, during and after training
(OUT / "digits.c").write_text(step.stages["c"])
(OUT / "memory.txt").write_text(step.stages["memory"])

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(losses, color="0.8", label="each step")
window = len(train) // BATCH
axes.plot(
    np.arange(window - 1, len(losses)),
    np.convolve(losses, np.ones(window) / window, "valid"),
    label="mean over an epoch",
)
axes.set(xlabel="step", ylabel="loss", yscale="log", title="LeNet-like network on 8×8 digits")
axes.legend()
figure.savefig(OUT / "loss.png", dpi=150)

print(f"test accuracy {accuracy(test):.4f} on {TEST} digits never trained on")
print(f"pictures, C, memory report and loss curve are in {OUT.resolve().name}/")
