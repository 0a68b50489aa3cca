"""Point clouds and 3D models for the tests, in every format that is read; what they hold is told with them."""

import io
import json

import laspy
import numpy as np
import trimesh


def cloud(count=600):
    """(xyz, rgb) of a red ball over a grey floor, in metres."""
    random = np.random.default_rng(1)
    ball = random.normal(size=(count // 2, 3))
    ball = ball / np.linalg.norm(ball, axis=1, keepdims=True) * 0.5 + (2, 1, 0.5)
    floor = np.column_stack([random.uniform((0, 0), (4, 3), (count - count // 2, 2)), np.zeros(count - count // 2)])
    colors = np.repeat([[220, 40, 40], [128, 128, 128]], [count // 2, count - count // 2], 0)
    return np.concatenate([ball, floor]), colors.astype(np.uint8)


def ply(binary=True, order="little", faces=()):
    xyz, rgb = cloud()
    form = f"binary_{order}_endian" if binary else "ascii"
    lines = ["ply", f"format {form} 1.0", "comment made by a test", f"element vertex {len(xyz)}"]
    lines += [f"property float {name}" for name in "xyz"] + [f"property uchar {c}" for c in ("red", "green", "blue")]
    if faces:
        lines += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    head = ("\n".join([*lines, "end_header"]) + "\n").encode()
    sign = "<" if order == "little" else ">"
    if not binary:
        rows = [" ".join(map(str, [*place, *color])) for place, color in zip(xyz, rgb, strict=True)]
        rows += [" ".join(map(str, [len(face), *face])) for face in faces]
        return head + "\n".join(rows).encode() + b"\n"
    table = np.empty(len(xyz), [("xyz", f"{sign}f4", 3), ("rgb", "u1", 3)])
    table["xyz"], table["rgb"] = xyz, rgb
    body = b"".join(np.uint8(len(face)).tobytes() + np.array(face, f"{sign}i4").tobytes() for face in faces)
    return head + table.tobytes() + body


def pcd(data="binary"):
    xyz, rgb = cloud()
    packed = (rgb.astype(np.uint32) * (1 << 16, 1 << 8, 1)).sum(1).astype(np.uint32)
    head = (
        "# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F F\n"
        f"COUNT 1 1 1 1\nWIDTH {len(xyz)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(xyz)}\nDATA {data}\n"
    ).encode()
    if data == "ascii":
        floats = packed.view(np.float32)
        return (
            head
            + "\n".join(" ".join(map(repr, map(float, [*p, c]))) for p, c in zip(xyz, floats, strict=True)).encode()
        )
    columns = [*xyz.astype("<f4").T, packed]
    if data == "binary":
        table = np.empty(len(xyz), [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("c", "<u4")])
        for name, column in zip("xyzc", columns, strict=True):
            table[name] = column
        return head + table.tobytes()
    plain = b"".join(column.tobytes() for column in columns)
    packed_bytes = b"".join(
        bytes([len(plain[at : at + 32]) - 1]) + plain[at : at + 32] for at in range(0, len(plain), 32)
    )
    return head + len(packed_bytes).to_bytes(4, "little") + len(plain).to_bytes(4, "little") + packed_bytes


def las(compressed=False):
    xyz, rgb = cloud()
    header = laspy.LasHeader(point_format=2, version="1.2")
    header.offsets, header.scales = np.array([500_000.0, 5_000_000.0, 0.0]), np.full(3, 0.001)
    scan = laspy.LasData(header)
    scan.x, scan.y, scan.z = (xyz + np.array([500_000, 5_000_000, 0])).T
    scan.red, scan.green, scan.blue = rgb.astype(np.uint16).T * 257
    file = io.BytesIO()
    scan.write(file, do_compress=compressed, laz_backend=laspy.LazBackend.Lazrs if compressed else None)
    return file.getvalue()


def xyz(separator=" ", heading=""):
    places, colors = cloud()
    rows = [separator.join([*(f"{v:.5f}" for v in p), *map(str, c)]) for p, c in zip(places, colors, strict=True)]
    return (heading + "\n".join(rows) + "\n").encode()


def solid():
    """A red box, 2 x 1 x 0.5, with a blue ball on it."""
    box = trimesh.creation.box((2, 1, 0.5))
    box.visual.vertex_colors = (220, 40, 40, 255)
    ball = trimesh.creation.icosphere(2, 0.4)
    ball.apply_translation((0, 0, 0.65))
    ball.visual.vertex_colors = (40, 80, 220, 255)
    return box, ball


def exported(kind):
    """The solid as trimesh writes it: glb, gltf (in one file), obj, stl, stl_ascii or ply."""
    scene = trimesh.Scene(list(solid()))
    if kind == "glb":
        return scene.export(file_type="glb")
    if kind == "gltf":
        return embedded(scene.export(file_type="gltf", merge_buffers=True))
    data = trimesh.util.concatenate(solid()).export(file_type=kind)
    return data.encode() if isinstance(data, str) else data


def embedded(files):
    """A glTF of several files as one."""
    import base64

    tree = json.loads(files["model.gltf"])
    for buffer in tree["buffers"]:
        buffer["uri"] = "data:application/octet-stream;base64," + base64.b64encode(files[buffer["uri"]]).decode()
    return json.dumps(tree).encode()


def textured():
    """A flat square whose texture is red on the left and green on the right."""
    import PIL.Image

    image = PIL.Image.new("RGB", (64, 64), (220, 40, 40))
    image.paste((40, 160, 60), (32, 0, 64, 64))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=image)
    uv = [(0, 0), (1, 0), (1, 1), (0, 1)]
    # In glTF y is up: it lies level.
    square = trimesh.Trimesh([(0, 0, 0), (2, 0, 0), (2, 0, -2), (0, 0, -2)], [(0, 1, 2), (0, 2, 3)], process=False)
    square.visual = trimesh.visual.TextureVisuals(uv, material=material)
    return trimesh.Scene([square]).export(file_type="glb")


FILES = {
    "words.ply": lambda: ply(binary=False),
    "little.ply": ply,
    "big.ply": lambda: ply(order="big"),
    "words.pcd": lambda: pcd("ascii"),
    "binary.pcd": pcd,
    "packed.pcd": lambda: pcd("binary_compressed"),
    "scan.las": las,
    "scan.laz": lambda: las(compressed=True),
    "cloud.xyz": xyz,
    "cloud.csv": lambda: xyz(",", "x,y,z,r,g,b\n"),
    "cloud.pts": lambda: xyz(heading="600\n"),
    "solid.glb": lambda: exported("glb"),
    "solid.gltf": lambda: exported("gltf"),
    "solid.obj": lambda: exported("obj"),
    "solid.stl": lambda: exported("stl"),
    "words.stl": lambda: exported("stl_ascii"),
    "solid.ply": lambda: exported("ply"),
}
