"""Submits a grid of jobs to a Plumbline server, waits, and plots accuracy and scale by variant."""

import io, json, os, time
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np

SERVER = os.environ.get("PLUMBLINE_SERVER", "http://127.0.0.1:8420")
TOKEN = os.environ.get("PLUMBLINE_TOKEN")


def ask(path, body=None, **query):
    """The bytes of an answer; a body is sent as JSON."""
    request = Request(f"{SERVER}/api/v1{path}" + ("?" + urlencode(query) if query else ""))
    if TOKEN:
        request.add_header("Authorization", f"Bearer {TOKEN}")
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    return urlopen(request).read()


VARIANTS, BATCHES, SEEDS = ["affine", "affine-like"], [16, 64], [1, 2, 3]
study = json.loads(ask("/studies", {
    "name": "variant by batch size",
    "base": {
        "dataset": {"name": "fashion-mnist", "train_limit": 1024, "test_limit": 500},
        "model": {"preset": "mlp", "width": 32, "depth": 2, "activation": "tanh"},
        "optimiser": {"learning_rate": 0.1},
        "epochs": 3,
    },
    "grid": {"/model/variant": VARIANTS, "/batch_size": BATCHES, "/seed": SEEDS},
}))

while True:
    jobs = json.loads(ask(f"/studies/{study['id']}/jobs"))["items"]
    if all(job["state"] in ("finished", "failed", "diverged", "cancelled") for job in jobs):
        break
    time.sleep(1)
assert all(job["state"] == "finished" for job in jobs), [(job["job"], job["state"]) for job in jobs]

# The jobs come in the grid's order, the last key varying fastest.
accuracy = np.array([job["results"]["test/accuracy"] for job in jobs]).reshape(2, 2, 3)
mean, sd = accuracy.mean(axis=-1), accuracy.std(axis=-1, ddof=1)
for v, variant in enumerate(VARIANTS):
    for b, batch in enumerate(BATCHES):
        print(f"{variant:12} batch {batch:3}  accuracy {mean[v, b]:.4f} sd {sd[v, b]:.4f} n {len(SEEDS)}")

# The median of `scale` (1 is ideal) at each probed step and site of every job, as arrays of one length.
ids = np.array([job["job"] for job in jobs])
chosen = f"id IN ({', '.join(map(str, ids))})"
rows = np.load(io.BytesIO(ask("/export", what="summary", format="npz", filter=chosen)))
of_first = (rows["site"] == "1.dense") & (rows["column"] == "scale")
for v, variant in enumerate(VARIANTS):
    mine = of_first & np.isin(rows["job"], ids.reshape(2, -1)[v])
    print(f"{variant:12} median scale at 1.dense, over all steps {np.median(rows['q50'][mine]):.3f}")

try:
    import matplotlib
except ImportError:
    print("no matplotlib: nothing is plotted")
    raise SystemExit
matplotlib.use("Agg")  # leave this out in a notebook
import matplotlib.pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for v, variant in enumerate(VARIANTS):
    left.errorbar(BATCHES, mean[v], yerr=sd[v], marker="o", capsize=3, label=variant)
    one = of_first & (rows["job"] == ids.reshape(2, 2, 3)[v, 1, 0])  # batches of 64, seed 1
    right.plot(rows["step"][one], rows["q50"][one], label=variant)
left.set(xlabel="batch size", ylabel="test accuracy (mean, sd)", xticks=BATCHES)
right.set(xlabel="step", ylabel="median scale at 1.dense", xscale="log", yscale="log")
left.legend()
figure.savefig("grid.png")
