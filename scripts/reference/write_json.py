# Writes the reference fixtures: JSON with short float arrays on one line each, the same bytes on every run.
# Part of the PyTorch referee.
import json


def plain(value, digits):
    """Arrays, tensors and numpy numbers as lists and numbers; floats rounded to `digits` significant digits."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, digits) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    return value


def layout(value, indent):
    pad = "  " * (indent + 1)
    if isinstance(value, dict):
        rows = [f"{pad}{json.dumps(key)}: {layout(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + "  " * indent + "}"
    if isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value):
        return "[\n" + ",\n".join(pad + layout(item, indent + 1) for item in value) + "\n" + "  " * indent + "]"
    return json.dumps(value, ensure_ascii=False)


def write_json(path, value, digits):
    """Writes `value` to `path`. `digits`: 9 keeps a float32 exactly, 17 a float64."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(layout(plain(value, digits), 0) + "\n")
    print(f"wrote {path}")
