# Writes test/fixtures/reference/camera.json: what the program on the robot makes of a camera frame, by OpenCV itself.
# Luma of RGB pixels, and the frame in three channels resized with INTER_LINEAR to input sizes of several kinds.
"""python3 make_camera.py OUT.json"""
import hashlib
import sys

import cv2
import numpy as np

from write_json import write_json

WIDTH, HEIGHT = 320, 240
# Shrunk in both directions; the defaults; shrunk in one and enlarged in the other; enlarged in both; a whole multiple.
SIZES = [64, 96, 160, 192, 224, 256, 320, 352, 480, 640]


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def main(out):
    y, x, c = np.meshgrid(np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
    rgb = ((x * 7 + y * 13 + c * 29 + ((x * y) % 31) * 5) % 256).astype(np.uint8)
    frame = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    grey = cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB)
    cases = []
    for size in SIZES:
        seen = cv2.resize(grey, (size, size), interpolation=cv2.INTER_LINEAR)
        assert (seen[..., 0] == seen[..., 1]).all() and (seen[..., 0] == seen[..., 2]).all()
        rows = {str(row): seen[row, :, 0].tolist() for row in (0, size // 2, size - 1)}
        cases.append({"size": size, "sha256": sha256(seen), "rows": rows})
    write_json(out, {
        "about": "A camera frame as a robot's program feeds it to a model. Made by scripts/reference/make_camera.py.",
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "notes": [
            "pixel(y, x, c) = (x*7 + y*13 + c*29 + ((x*y) mod 31)*5) mod 256, 240 x 320 x 3, uint8, row-major [y][x][c], RGB",
            "luma: cvtColor COLOR_RGB2GRAY; seen: cvtColor COLOR_GRAY2RGB, then resize to (size, size) with INTER_LINEAR",
            "sha256 is over all bytes of seen, [y][x][c]; rows holds one channel of its first, middle and last row",
        ],
        "lumaSha256": sha256(frame),
        "lumaFirstRow": frame[0].tolist(),
        "cases": cases,
    }, digits=9)


if __name__ == "__main__":
    main(sys.argv[1])
