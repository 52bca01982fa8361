# Writes test/fixtures/reference/archives.json: ZIP archives behind other bytes, made by Python's zipfile.
# Offsets from the start of the whole and of the archive, packed and plain files, a comment, names that are traps.
"""python3 make_archives.py OUT.json"""
import base64
import io
import sys
import zipfile

from write_json import write_json

PREFIX = bytes(range(64))
LABELS = "healthy\nleaf blight\n\u8449\n".encode()
LONG = b"the same line, many times\n" * 100


def archive(buffer, files, comment=b"", packed=()):
    # Mode "a" on a buffer that is no archive appends one, with offsets from the start of the whole: as Google's tools do.
    with zipfile.ZipFile(buffer, "a") as zipped:
        zipped.comment = comment
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, (2020, 2, 2, 2, 2, 2))
            zipped.writestr(entry, data, zipfile.ZIP_DEFLATED if name in packed else zipfile.ZIP_STORED)
    return buffer.getvalue()


def appended(files, **more):
    buffer = io.BytesIO()
    buffer.write(PREFIX)
    return archive(buffer, files, **more)


def joined(files, **more):
    return PREFIX + archive(io.BytesIO(), files, **more)


TWO = {"labels.txt": LABELS, "notes/\u00fc.txt": b""}
ODD = {"../../outside.txt": b"1", "/etc/absolute": b"2", "C:\\x": b"3", "__proto__": b"4", "a/": b""}

CASES = {
    "appended": (TWO, appended(TWO)),
    "joined": (TWO, joined(TWO)),
    "packed": ({"labels.txt": LABELS, "long.txt": LONG}, joined({"labels.txt": LABELS, "long.txt": LONG}, packed={"long.txt"})),
    "comment": (TWO, appended(TWO, comment=b"PK\x05\x06 is in the comment, too" + b"." * 30)),
    "odd names": (ODD, appended(ODD)),
    "empty": ({}, appended({})),
}

write_json(sys.argv[1], [
    {
        "name": name,
        # Hexadecimal bytes by name.
        "files": [[key, data.hex()] for key, data in files.items()],
        "file": base64.b64encode(file).decode(),
    }
    for name, (files, file) in CASES.items()
], 9)
