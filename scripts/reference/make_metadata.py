# Writes test/fixtures/reference/metadata.json: TFLite Metadata as flatc, the compiler of flatbuffers itself, encodes it.
# A classifier and a detector as Google's own tools describe them, and one with everything that graft has no word for.
"""python3 make_metadata.py OUT.json"""
import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from write_json import write_json

SCHEMA = Path(__file__).with_name("tflite_metadata.fbs")


def content(kind, fields=None, axes=None):
    value = {"content_properties_type": kind, "content_properties": fields or {}}
    return {**value, "range": {"min": axes[0], "max": axes[1]}} if axes else value


def unit(kind, fields):
    return {"options_type": kind, "options": fields}


def file(name, kind, **more):
    return {"name": name, "description": "Names of the classes, a line each.", "type": kind, **more}


def normalise(mean, std):
    return [unit("NormalizationOptions", {"mean": mean, "std": std})]


IMAGE = {
    "name": "image",
    "description": "A photo.",
    "content": content("ImageProperties", {"color_space": "RGB"}),
    "process_units": normalise([127.5], [127.5]),
    "stats": {"max": [1.0], "min": [-1.0]},
}
LOCATION = content("BoundingBoxProperties", {"index": [1, 0, 3, 2], "type": "BOUNDARIES"}, (2, 2))
EACH = content("FeatureProperties", {}, (2, 2))

CLASSIFIER = {
    "name": "Leaves",
    "description": "Healthy and sick leaves: \u00e4, \u8449",
    "version": "1",
    "subgraph_metadata": [{
        "input_tensor_metadata": [IMAGE],
        "output_tensor_metadata": [{
            "name": "probability",
            "description": "One per class.",
            "content": content("FeatureProperties"),
            "stats": {"max": [1.0], "min": [0.0]},
            "associated_files": [file("labels.txt", "TENSOR_AXIS_LABELS")],
        }],
    }],
    "author": "A. Person",
    "license": "Apache-2.0",
    "min_parser_version": "1.0.0",
}
DETECTOR = {
    "name": "Detector",
    "description": "",
    "subgraph_metadata": [{
        "input_tensor_metadata": [IMAGE],
        "output_tensor_metadata": [
            {"name": "location", "description": "Boxes.", "content": LOCATION},
            {
                "name": "category",
                "description": "Classes.",
                "content": EACH,
                "associated_files": [file("labels.txt", "TENSOR_VALUE_LABELS")],
            },
            {"name": "score", "description": "Scores.", "content": EACH},
            {"name": "number of detections", "description": "Rows.", "content": content("FeatureProperties")},
        ],
        "output_tensor_groups": [{"name": "detection_result", "tensor_names": ["location", "category", "score"]}],
    }],
    "min_parser_version": "1.2.0",
}
OTHER = {
    "name": "Everything else",
    "subgraph_metadata": [
        {
            "name": "main",
            "description": "d",
            "input_tensor_metadata": [
                {
                    "name": "grey",
                    "dimension_names": ["batch", "y", "x", "c"],
                    "content": content("ImageProperties", {"color_space": "GRAYSCALE", "default_size": {"width": 3, "height": 2}}),
                    "process_units": [unit("ScoreThresholdingOptions", {"global_score_threshold": 0.5})]
                    + normalise([0.0, 1.0, 2.0], [1.0, 2.0, 4.0]),
                },
                {"name": "sound", "content": content("AudioProperties", {"sample_rate": 16000, "channels": 1})},
                {
                    "name": "text",
                    "process_units": [
                        unit("BertTokenizerOptions", {"vocab_file": [file("vocab.txt", "VOCABULARY")]}),
                        unit("RegexTokenizerOptions", {"delim_regex_pattern": "x+"}),
                    ],
                },
                {},
            ],
            "output_tensor_metadata": [
                {
                    "name": "box",
                    "content": content("BoundingBoxProperties", {"index": [0, 1, 2, 3], "type": "CENTER", "coordinate_type": "PIXEL"}),
                    "associated_files": [
                        file("scores.csv", "TENSOR_AXIS_SCORE_CALIBRATION", version="2"),
                        file("en.txt", "TENSOR_AXIS_LABELS", locale="en"),
                        file("de.txt", "TENSOR_AXIS_LABELS", locale="de"),
                    ],
                },
            ],
            "associated_files": [file("README.md", "DESCRIPTIONS")],
            "input_process_units": [unit("SentencePieceTokenizerOptions", {})],
            "input_tensor_groups": [{"name": "inputs", "tensor_names": ["grey"]}],
            "output_tensor_groups": [{"name": "boxes", "tensor_names": []}, {"name": "second"}],
            "custom_metadata": [{"name": "blob", "data": [1, 2, 3]}],
        },
        {"name": "second"},
    ],
    "associated_files": [file("index", "SCANN_INDEX_FILE")],
    "min_parser_version": "1.5.0",
}


def encode(value, folder):
    Path(folder, "case.json").write_text(json.dumps(value), encoding="utf-8")
    subprocess.run(["flatc", "-b", "-o", folder, str(SCHEMA), f"{folder}/case.json"], check=True)
    return base64.b64encode(Path(folder, "case.bin").read_bytes()).decode()


def main(out):
    version = subprocess.run(["flatc", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    cases = {"classifier": CLASSIFIER, "detector": DETECTOR, "other": OTHER}
    with tempfile.TemporaryDirectory() as folder:
        write_json(out, {
            "about": "TFLite Metadata encoded by flatc, in base64. Made by scripts/reference/make_metadata.py.",
            "flatc": version,
            "files": {name: encode(value, folder) for name, value in cases.items()},
        }, digits=9)


if __name__ == "__main__":
    main(sys.argv[1])
