# Sorts the pictures of some Debian packages into data sets of labelled photos. Called by build.sh; see README.md.
# Never part of the product: it makes photos for bench/datasets.bench.ts. Needs Pillow and nothing else.
"""Writes OUT/<data set>/<class>/<picture>. The same packages give the same files: everything random is seeded."""
import argparse
import collections
import glob
import gzip
import io
import os
import random
import re
import shutil
import struct
import warnings
import zipfile
import zlib

from PIL import Image, ImageStat

SEED = 7
Image.MAX_IMAGE_PIXELS = 170_000_000
warnings.simplefilter("ignore")  # Pillow warns of palettes with transparency, which `flatten` handles

# A data set is {class: [(name, function that opens the picture)]}.


def opener(path):
    return lambda: Image.open(path)


def flatten(image):
    """RGB, with white behind what is transparent."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        white.alpha_composite(image)
        image = white
    return image.convert("RGB")


def fingerprint(image):
    """Equal for pictures that look the same: whether each of 16 x 16 patches is brighter than the next, and four colours."""
    grey = list(image.convert("L").resize((17, 16), Image.BILINEAR).getdata())
    colours = list(image.resize((2, 2), Image.BILINEAR).getdata())
    steps = tuple(grey[row * 17 + i] > grey[row * 17 + i + 1] for row in range(16) for i in range(16))
    return steps, tuple(value // 24 for colour in colours for value in colour)


def choose(pictures, most, longest, is_good, seen):
    """Opens pictures in a random order until there are `most`; leaves out tiny, narrow, bad and double ones."""
    pictures = sorted(pictures, key=lambda picture: picture[0])
    random.Random(SEED).shuffle(pictures)
    chosen = []
    for name, read in pictures:
        if len(chosen) >= most:
            break
        try:
            image = flatten(read())
        except Exception as error:  # Pillow raises many kinds for damaged files
            print(f"  {name} cannot be read: {error}")
            continue
        if min(image.size) < 20 or max(image.size) > 5 * min(image.size) or not is_good(image):
            continue
        if seen is not None:
            look = fingerprint(image)
            if look in seen:
                continue
            seen.add(look)
        if max(image.size) > longest:
            image.thumbnail((longest, longest), Image.LANCZOS)
        chosen.append((name, image))
    return chosen


def save(out, name, classes, most, fewest=8, longest=512, kind="jpg", is_good=lambda image: True, doubles=False):
    """Writes the data set `name`; a class with fewer than `fewest` pictures is left out."""
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    seen = None if doubles else set()
    counts = {}
    for label in sorted(classes):
        chosen = choose(classes[label], most, longest, is_good, seen)
        if len(chosen) < fewest:
            continue
        counts[label] = len(chosen)
        os.makedirs(os.path.join(folder, label))
        for index, (stem, image) in enumerate(chosen):
            safe = re.sub(r"[^A-Za-z0-9]+", "_", stem)[-60:].strip("_")
            path = os.path.join(folder, label, f"{index:03d}_{safe}.{kind}")
            image.save(path, **({"quality": 92} if kind == "jpg" else {}))
    print(f"{name}: {sum(counts.values())} pictures,", ", ".join(f"{label} {count}" for label, count in counts.items()))


def read_catalogue(path):
    """Stellarium's catalogue of deep-sky objects: (kind, morphology, numbers in 14 catalogues) of each."""
    with gzip.open(path) as file:
        data = file.read()
    position = 0

    def skip(count):
        nonlocal position
        position += count

    def text():
        length = struct.unpack_from(">I", data, position)[0]
        skip(4)
        if length == 0xFFFFFFFF:
            return ""
        found = data[position:position + length].decode("utf-16-be")
        skip(length)
        return found

    objects = []
    text(), text()  # version and edition
    while position < len(data):
        kind = struct.unpack_from(">IddddI", data, position)[5]
        skip(40)
        morphology = text()
        skip(20 + 48)
        numbers = struct.unpack_from(">14I", data, position)
        skip(56)
        text()
        skip(8)
        for _ in range(7):
            text()
        skip(20)
        objects.append((kind, morphology, numbers))
    return objects


def find_sky(packages):
    """Photographs of deep-sky objects; the class is the kind of the object in the catalogue."""
    folder = f"{packages}/stellarium-data/usr/share/stellarium/nebulae/default"
    kinds = {6: "open_cluster", 7: "globular_cluster", 11: "planetary_nebula", 12: "dark_nebula", 18: "supernova_remnant"}
    kinds.update({kind: "nebula" for kind in (13, 14, 15, 16, 17)})
    # Spirals from Sa on; S0 and its variants are lenticular.
    spiral = re.compile(r"S(?!0|AB?0|B0|A?\(?[rs]*\)?0|AB?\([^)]*\)0|B\([^)]*\)0)")
    known = {}
    for found in read_catalogue(f"{folder}/catalog.dat"):
        for catalogue, number in zip(("ngc", "ic", "m", "c", "b", "sh2", "vdb", "rcw", "ldn"), found[2]):
            if number:
                known.setdefault((catalogue, number), found)
    classes, seen = collections.defaultdict(list), set()
    for path in sorted(glob.glob(f"{folder}/*.png")):
        name = os.path.basename(path)[:-4].lower()
        match = re.match(r"(ngc|ic|n|m|sh2|vdb|barnard|ldn)[-_ ]?(\d+)", name)
        key = match and ({"barnard": "b", "n": "ngc"}.get(match[1], match[1]), int(match[2]))
        if key not in known:
            continue
        kind, morphology, numbers = known[key]
        if kind in (0, 1, 2, 3):
            label = "spiral_galaxy" if spiral.match(morphology) else "other_galaxy"
        else:
            label = kinds.get(kind)
        # One photograph of each object, so that none is in two splits.
        if label is None or numbers in seen:
            continue
        seen.add(numbers)
        classes[label].append((name, opener(path)))
    return classes


def find_textures(packages):
    """Photographed surfaces of games; the class is the material that the file's name holds."""
    archives = (
        "ufoai-textures/usr/share/games/ufoai/base/0textures.pk3",
        "nexuiz-textures/usr/share/games/nexuiz/data/textures.pk3",
        "openarena-081-textures/usr/share/games/openarena/baseoa/pak4-textures.pk3",
    )
    # Maps of bumps, gloss and light rather than photographs.
    maps = re.compile(
        r"(_|-)(nm|gl|nb|sm_?nm|spec|local|luma|blend|shirt|pants|reflect|alpha|dcl|mask|glw|addspec)\d*$"
        r"|gloss|glow|_fx|norm|bump|sign|blood|underground"
    )
    materials = {
        "brick": r"brick|brck",
        "wood": r"wood|plank",
        "grass": r"grass",
        "rock": r"rock|cliff|stone(?!.*floor)",
        "metal": r"metal|mtl|rust|steel|plates",
        "concrete": r"concrete|crete|cement",
        "ground": r"dirt|ground|sand|soil|mud|desert|gravel",
        "carpet": r"carpet|textil",
        "tiles": r"tile",
        "roof": r"roof",
        "door": r"door",
        "wallpaper": r"wallpaper|plaster|stucco",
    }
    classes = collections.defaultdict(list)
    for archive in archives:
        files = zipfile.ZipFile(f"{packages}/{archive}")
        for path in files.namelist():
            match = re.match(r"textures/(.*)/([^/]+)\.(jpg|png|tga)$", path)
            name = match and match[2].lower()
            if not match or maps.search(name):
                continue
            hits = [label for label, words in materials.items() if re.search(words, name)]
            if len(hits) == 1:
                read = lambda files=files, path=path: Image.open(io.BytesIO(files.read(path)))
                classes[hits[0]].append((f"{match[1]}_{match[2]}", read))
    return classes


def is_textured(image):
    return min(image.size) >= 64 and ImageStat.Stat(image.convert("L")).stddev[0] > 5


def find_in_folders(root, folders, is_wanted):
    """PNG files below `root`; `folders` is {class: [folders]}, and a file belongs to the first that holds it."""
    classes, seen = collections.defaultdict(list), set()
    for label, names in folders.items():
        for name in names:
            for path in sorted(glob.glob(f"{root}/{name}/**/*.png", recursive=True)):
                if path not in seen and not os.path.islink(path) and is_wanted(path[len(root):]):
                    seen.add(path)
                    classes[label].append((os.path.basename(path)[:-4], opener(path)))
    return classes


def find_clipart(packages):
    """Drawings of the Open Clip Art Library; the class is the folder."""
    folders = {
        "bird": ["animals/birds"],
        "bug": ["animals/bugs"],
        "mammal": ["animals/mammals"],
        "fish": ["animals/fish"],
        "fruit": ["food/fruit"],
        "dessert": ["food/desserts"],
        "drink": ["food/beverages"],
        "meal": ["food/meats_and_eggs", "food/breads_and_carbs"],
        "plant": ["plants"],
        "vehicle": ["transportation/vehicles", "transportation/boating", "transportation/aircraft"],
        "roadsign": ["transportation/roadsigns"],
        "tool": ["tools"],
        "building": ["buildings/homes", "buildings"],
        "hardware": ["computer/hardware", "electronics"],
        "flag": ["signs_and_symbols/flags"],
        "music": ["recreation/music"],
        "sport": ["recreation/sports"],
        "playing_card": ["recreation/games/cards"],
        "smiley": ["people/smilies"],
        "clothing": ["people/clothing"],
        "stickman": ["people/stickmen"],
        "weather": ["signs_and_symbols/weather"],
    }
    root = f"{packages}/openclipart-png/usr/share/openclipart/png"
    return find_in_folders(root, folders, lambda path: not re.search(r"furniture.*/|weapons.*/", path))


def find_stamps(packages):
    """Things cut out of photographs, on white: the stamps of Tux Paint; the class is the folder."""
    folders = {
        "mammal": ["animals/mammals"],
        "bird": ["animals/birds"],
        "fish": ["animals/fish"],
        "insect": ["animals/insects"],
        "fruit": ["food/fruit"],
        "vegetable": ["food/vegetables"],
        "flower": ["plants/flowers"],
        "tree": ["plants/trees"],
        "vehicle": ["vehicles"],
        "household": ["household"],
        "clothes": ["clothes"],
        "roadsign": ["town/roadsigns"],
        "coin": [f"symbols/money/{country}" for country in ("us", "euro", "canadian", "japanese")],
    }
    root = f"{packages}/tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
    unwanted = re.compile(r"_(mirror|flip)(_flip)?\.png$|cartoon|squarestamp")
    return find_in_folders(root, folders, lambda path: not unwanted.search(path))


def read_resources(path):
    """Files of a Qt resource archive: [(path, bytes)]."""
    with open(path, "rb") as file:
        data = file.read()
    version, tree, contents, names = struct.unpack(">IIII", data[4:20])
    entry_size = 22 if version >= 2 else 14
    found = []

    def walk(index, prefix):
        entry = tree + index * entry_size
        name, flags = struct.unpack(">IH", data[entry:entry + 6])
        name += names
        length = struct.unpack(">H", data[name:name + 2])[0]
        here = prefix + ("/" + data[name + 6:name + 6 + 2 * length].decode("utf-16-be") if index else "")
        if flags & 2:  # a folder
            count, first = struct.unpack(">II", data[entry + 6:entry + 14])
            for child in range(first, first + count):
                walk(child, here)
            return
        start = struct.unpack(">I", data[entry + 10:entry + 14])[0] + contents
        size = struct.unpack(">I", data[start:start + 4])[0]
        content = data[start + 4:start + 4 + size]
        found.append((here, zlib.decompress(content[4:]) if flags & 1 else content))

    walk(0, "")
    return found


def find_photos(packages):
    """The photographs of GCompris; the class is the activity or the group that they are for."""
    folder = f"{packages}/gcompris-qt-data/usr/share/gcompris-qt/rcc"
    groups = {
        "fishes": "fish", "monuments": "monument", "tools": "tool", "others": "household", "renewable": "windmill",
    }
    categories = re.compile(r"/images/(fishes|monuments|tools|others|renewable)/([^/]+)\.webp$")
    activities = re.compile(
        r"/(erase|explore_world_animals|explore_farm_animals|explore_monuments)/resource/(?:\w+/)?([^/]+)\.webp$"
    )
    classes, monuments = collections.defaultdict(list), set()
    for archive in ("categorization", "erase", "explore_world_animals", "explore_farm_animals", "explore_monuments"):
        for path, content in read_resources(f"{folder}/{archive}.rcc"):
            match = categories.search(path)
            if match:
                name = match[2]
                label = groups[match[1]]
                if match[1] == "renewable" and not name.startswith("windmill"):
                    label = "solar_or_dam"
                if name in ("igloo", "spray"):  # drawings
                    continue
            else:
                match = activities.search(path)
                if not match or match[2] == "dragon":
                    continue
                name = match[2]
                label = "monument" if "monuments" in match[1] else "animal"
                if label == "animal" and name in ("dolphin", "crab", "narwhal"):
                    continue
            # The same monument is in two activities.
            if label == "monument":
                if name.lower() in monuments:
                    continue
                monuments.add(name.lower())
            read = lambda content=content: Image.open(io.BytesIO(content))
            classes[label].append((f"{archive}_{name}", read))
    return classes


def find_digits(packages):
    """Handwritten digits: OpenCV's sheet of 5,000, 20 x 20 pixels each, five rows of a hundred for every digit."""
    sheet = Image.open(f"{packages}/opencv-doc/usr/share/doc/opencv-doc/examples/data/digits.png").convert("RGB")
    classes = collections.defaultdict(list)
    for row in range(50):
        for column in range(100):
            box = (column * 20, row * 20, column * 20 + 20, row * 20 + 20)
            classes[str(row // 5)].append((f"r{row:02d}c{column:02d}", lambda box=box: sheet.crop(box)))
    return classes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", required=True, help="folder with the unpacked packages, by name")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    save(options.out, "sky", find_sky(options.packages), most=150)
    save(options.out, "textures", find_textures(options.packages), most=120, is_good=is_textured)
    save(options.out, "clipart", find_clipart(options.packages), most=70, fewest=12, longest=400, kind="png")
    save(options.out, "stamps", find_stamps(options.packages), most=80)
    save(options.out, "photos", find_photos(options.packages), most=120)
    save(options.out, "digits", find_digits(options.packages), most=250, kind="png", doubles=True)


if __name__ == "__main__":
    main()
