# Writes test/fixtures/reference/metrics.json: confusion matrix and scores of seeded labels, by numpy from the definitions.
# Cases include a class that is never predicted, one that never occurs, and a perfect result.
"""python3 make_metrics.py OUT.json"""
import sys

import numpy as np

from write_json import write_json


def ratio(a, b):
    """a/b, and 0 where b is 0 (scikit-learn's zero_division=0)."""
    return float(a) / float(b) if b else 0.0


def score(labels, predictions, classes):
    confusion = np.zeros((classes, classes), dtype=np.int64)
    for label, prediction in zip(labels, predictions):
        confusion[label, prediction] += 1
    hits, support, predicted = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    precision = [ratio(h, p) for h, p in zip(hits, predicted)]
    recall = [ratio(h, s) for h, s in zip(hits, support)]
    f1 = [ratio(2 * h, s + p) for h, s, p in zip(hits, support, predicted)]
    present = [r for r, s in zip(recall, support) if s]
    seen = [f for f, s, p in zip(f1, support, predicted) if s or p]
    return {
        "classes": classes,
        "labels": labels,
        "predictions": predictions,
        "confusion": confusion,
        "support": support,
        "accuracy": ratio(hits.sum(), len(labels)),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "macroF1": float(np.mean(f1)),
        "macroF1Seen": float(np.mean(seen)),
        "balancedAccuracy": float(np.mean(present)),
    }


def draw(seed, samples, classes, skill, weights=None):
    rng = np.random.RandomState(seed)
    labels = rng.choice(classes, samples, p=weights)
    guesses = rng.randint(0, classes, samples)
    return labels, np.where(rng.rand(samples) < skill, labels, guesses)


def main(out):
    labels, predictions = draw(3, 40, 4, 0.5)
    never_predicted = np.where(predictions == 2, 0, predictions)
    absent = np.where(labels == 3, 1, labels)
    write_json(out, {
        "about": "Classification scores by numpy from their definitions. Made by scripts/reference/make_metrics.py.",
        "numpy": np.__version__,
        "notes": [
            "confusion[true class][predicted class]",
            "precision = hits/predicted, recall = hits/support, f1 = 2 hits/(support + predicted); 0 where the divisor is 0",
            "macroF1 is the mean over all classes; macroF1Seen over those with a label or a prediction (scikit-learn's default label set)",
            "balancedAccuracy is the mean recall over the classes with at least one label",
        ],
        "cases": {
            "threeClasses": score(*draw(1, 60, 3, 0.7), 3),
            "imbalanced": score(*draw(2, 80, 4, 0.6, [0.7, 0.2, 0.08, 0.02]), 4),
            "neverPredicted": score(labels, never_predicted, 4),
            "absentLabel": score(absent, predictions, 4),
            "absentEverywhere": score(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), 3),
            "perfect": score(np.array([0, 1, 2, 1]), np.array([0, 1, 2, 1]), 3),
        },
    }, digits=17)


if __name__ == "__main__":
    main(sys.argv[1])
