# Writes test/fixtures/reference/figures.json: figures of seeded predictions by scikit-learn, and intervals and tests by scipy.
# Cases include equal scores, a class without photos, and predictions that are all right.
"""python3 make_figures.py OUT.json"""
import sys
import warnings

import numpy as np
import scipy
import sklearn
from scipy import optimize, stats
from sklearn import metrics

from write_json import write_json

warnings.filterwarnings("ignore")
rng = np.random.default_rng(7)


def ece(probabilities, right):
    confidence = probabilities.max(1)
    bins = np.clip(np.ceil(confidence * 15).astype(int) - 1, 0, 14)
    gaps = [(bins == i).mean() * abs(right[bins == i].mean() - confidence[bins == i].mean()) for i in set(bins)]
    return float(sum(gaps))


def temperature(probabilities, truth):
    n, c = probabilities.shape
    logs = np.log(np.maximum(probabilities, 2.0**-126))
    share = (n + 1) / (n + 2)
    target = np.full((n, c), (1 - share) / (c - 1))
    target[np.arange(n), truth] = share

    def loss(log_t):
        scaled = logs / np.exp(log_t)
        scaled = scaled - scaled.max(1, keepdims=True)
        return -np.sum(target * (scaled - np.log(np.exp(scaled).sum(1, keepdims=True))))

    bounds = (np.log(0.05), np.log(20))
    return float(np.exp(optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9}).x))


def case(n, c, sharpness, absent=None, ties=False, lead=1.2):
    truth = rng.integers(0, c, n)
    if absent is not None:
        truth[truth == absent] = (absent + 1) % c
    logits = rng.normal(size=(n, c))
    logits[np.arange(n), truth] += lead
    p = np.exp(logits * sharpness)
    p /= p.sum(1, keepdims=True)
    if ties:
        p = np.round(p * 4) / 4
        p[p.sum(1) == 0] = 1 / c
        p /= p.sum(1, keepdims=True)
    p = p.astype(np.float32)
    wide, top, labels = p.astype(np.float64), p.argmax(1), list(range(c))
    counts = [(truth == k).sum() for k in labels]
    recall = metrics.recall_score(truth, top, labels=labels, average=None, zero_division=0)
    mean = lambda how: list(map(float, metrics.precision_recall_fscore_support(truth, top, average=how, zero_division=0)[:3]))
    first_of_equals = wide - 1e-9 * np.arange(c)
    return {
        "truth": truth.tolist(),
        "probabilities": [[float(v) for v in row] for row in p],
        "accuracy": float(metrics.accuracy_score(truth, top)),
        "balanced_accuracy": float(np.mean([recall[k] for k in labels if counts[k]])),
        "macro": mean("macro"),
        "weighted": mean("weighted"),
        "log_loss": float(metrics.log_loss(truth, p, labels=labels, eps=float(np.finfo(np.float32).eps))),
        "brier": float(np.mean(((wide - np.eye(c)[truth]) ** 2).sum(1))),
        "roc_auc": [float(metrics.roc_auc_score(truth == k, wide[:, k])) if 0 < counts[k] < n else None for k in labels],
        "average_precision": [float(metrics.average_precision_score(truth == k, wide[:, k])) if counts[k] else None for k in labels],
        "top_2": float(metrics.top_k_accuracy_score(truth, first_of_equals, k=2, labels=labels)) if c > 2 else None,
        "ece": ece(wide, top == truth),
        "temperature": temperature(wide, truth),
    }


cases = {
    "two classes": case(60, 2, 1),
    "three classes, too sure": case(80, 3, 3),
    "five classes, too unsure": case(70, 5, 0.3),
    "ties": case(50, 3, 1, ties=True),
    "a class without photos": case(40, 4, 1, absent=2),
    "all right": case(30, 3, 1, lead=8),
}
parts = [(0, 1), (1, 1), (5, 10), (150, 155), (155, 155), (0, 40), (981, 1034)]
wilson = [[h, n, *map(float, stats.binomtest(h, n).proportion_ci(0.95, method="wilson"))] for h, n in parts]
pairs = [(1, 0), (4, 3), (12, 2), (0, 9), (30, 18), (600, 500)]
mcnemar = [[w, l, float(stats.binomtest(min(w, l), w + l).pvalue)] for w, l in pairs]


def bootstrap(won, lost, both=50):
    differences = np.concatenate([np.ones(won), -np.ones(lost), np.zeros(both)])
    found = stats.bootstrap((differences,), np.mean, n_resamples=20000, batch=500, method="percentile", random_state=7)
    return [won, lost, *map(float, found.confidence_interval)]


write_json(sys.argv[1], {
    "about": "Figures of predictions by scikit-learn, intervals and tests by scipy. Made by scripts/reference/make_figures.py.",
    "scikit-learn": sklearn.__version__,
    "scipy": scipy.__version__,
    "notes": [
        "log_loss: sklearn.metrics.log_loss with float32's epsilon, its default for float32 since 1.2; temperature: scipy.optimize",
        "brier (0..2) and ece (15 bins): numpy, by their definitions; balanced_accuracy: over the classes with photos",
        "wilson: hits, photos, low, high; mcnemar: won, lost, p of scipy.stats.binomtest",
        "bootstrap: won, lost, low, high of scipy.stats.bootstrap (percentile, 20,000 times), 50 photos on which both are right added",
    ],
    "cases": cases,
    "wilson": wilson,
    "mcnemar": mcnemar,
    "bootstrap": [bootstrap(*pair) for pair in pairs],
}, digits=17)
