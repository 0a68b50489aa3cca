"""Point clouds and 3D models: every format gives the same scene, and what is hostile is refused in words."""

import base64
import json
import struct
import zlib

import numpy as np
import pytest

from qwen_demo.errors import InvalidRequest, MediaRefused
from qwen_demo.media import Viewing
from qwen_demo.media.readers import pcd
from qwen_demo.types import Points
from tests.media import models3d

SMALL = Viewing(views=2, pixels=112 * 112)


@pytest.fixture
def shown(loader, tmp_path):
    """The views of a file with this content."""

    async def show(data: bytes, name: str = "model.bin", viewing: Viewing = SMALL, **limits) -> Points:
        path = tmp_path / name
        path.write_bytes(data)
        found = await loader(**limits).load_path(path, allowed_roots=[tmp_path], clip=viewing)
        assert isinstance(found, Points)
        return found

    return show


@pytest.fixture
def refusal(shown):
    """The words in which a file is refused."""

    async def refuse(data: bytes, name: str, **limits) -> str:
        with pytest.raises(MediaRefused) as refused:
            await shown(data, name, **limits)
        return str(refused.value)

    return refuse


@pytest.mark.parametrize("name", models3d.FILES)
async def test_every_format_gives_the_scene_that_is_in_it(shown, name):
    found = await shown(models3d.FILES[name](), name)
    east, north = (500_000, 5_000_000) if name.startswith("scan") else (0, 0)
    if name.startswith(("solid", "words.stl")):
        assert np.allclose([*found.low, *found.high], [-1, -0.5, -0.25, 1, 0.5, 1.05], atol=0.01)
        assert found.triangles == 332
    else:
        assert np.allclose([*found.low, *found.high], [east, north, 0, east + 4, north + 3, 1], atol=0.05)
        assert (found.points, found.triangles) == (600, 0)
    assert found.frame == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    colors = np.array(found.views[0].image.pixels).reshape(-1, 3).astype(int)
    red = ((colors[:, 0] > 120) & (colors[:, 1] < 70)).sum()
    plain = name.endswith((".stl", ".obj"))  # trimesh writes no colours there, or reads none
    assert plain or red > 100


async def test_a_texture_colours_its_triangles(shown):
    found = await shown(models3d.textured(), "flat.glb", Viewing(views=1, pixels=112 * 112, axes=False, shading=False))
    pixels = np.array(found.views[0].image.pixels)
    assert tuple(pixels[56, 30]) == (220, 40, 40)
    assert tuple(pixels[56, 80]) == (40, 160, 60)


async def test_views_and_their_area_are_asked_for(shown):
    found = await shown(models3d.ply(), "a.ply", Viewing(views=4, pixels=200 * 200))
    assert [view.image.size for view in found.views] == [(196, 196)] * 4
    assert found.views[0].elevation == 90
    assert len({view.azimuth for view in found.views[1:]}) == 3


async def test_up_is_found_by_the_floor_or_given(shown):
    xyz, _ = models3d.cloud()
    text = "\n".join(" ".join(map(str, (x, -z, y))) for x, y, z in xyz).encode()
    found = await shown(text, "tipped.xyz")
    assert found.frame[2] == (0, -1, 0)
    given = await shown(text, "tipped.xyz", Viewing(up="x", views=1))
    assert given.frame[2] == (1, 0, 0)


async def test_floor_and_ceiling_are_cut_on_demand(shown):
    found = await shown(models3d.ply(), "a.ply", Viewing(views=1, cut="floor"))
    assert found.low[2] > 0
    assert found.high[0] < 3  # the ball alone
    found = await shown(models3d.ply(), "a.ply", Viewing(views=1, cut="ceiling"))
    assert found.high[2] < 0.95


@pytest.mark.parametrize("wrong", [{"up": "w"}, {"cut": "walls"}, {"views": 0}, {"views": 13}, {"pixels": 10}])
async def test_a_viewing_out_of_bounds_is_named(shown, wrong):
    with pytest.raises(InvalidRequest, match=next(iter(wrong))):
        await shown(models3d.ply(), "a.ply", Viewing(**wrong))


async def test_what_is_no_number_and_what_strayed_is_left_out(shown):
    xyz, _ = models3d.cloud()
    rows = [*xyz.tolist(), [np.nan, 0, 0], [np.inf, 1, 1], [0, -np.inf, 0], [1e12, 0, 0]]
    found = await shown("\n".join(" ".join(map(str, row)) for row in rows).encode(), "a.xyz")
    assert (found.points, found.left_out) == (600, 4)
    assert found.high[0] < 5


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1e9, 1e30, 1e90])
async def test_any_scale_is_drawn(shown, scale):
    xyz, _ = models3d.cloud()
    text = "\n".join(" ".join(map(repr, map(float, row))) for row in xyz * scale).encode()
    found = await shown(text, "a.xyz")
    assert found.high[0] == pytest.approx(4 * scale, rel=0.02)
    assert (np.array(found.views[0].image.pixels) < 200).any()


async def test_a_single_point_is_drawn(shown):
    found = await shown(b"1 2 3\n", "one.xyz")
    assert found.points == 1
    assert found.low == found.high == (1, 2, 3)


def edited(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def gltf(**changes) -> bytes:
    tree = json.loads(models3d.exported("gltf"))
    for name, change in changes.items():
        tree[name] = change(tree[name]) if callable(change) else change
    return json.dumps(tree).encode()


def counted(accessors):
    return [{**accessor, "count": 10**9} for accessor in accessors]


def las_header(at: int, form: str, value) -> bytes:
    data = bytearray(models3d.las())
    struct.pack_into(form, data, at, value)
    return bytes(data)


PLY_COUNT = edited(models3d.ply(), b"vertex 600", b"vertex 5000000")
LOOP = [{"children": [1]}, {"children": [0], "mesh": 0}]
TWICE = [{"children": [1, 2]}, {"children": [3]}, {"children": [3]}, {"mesh": 0}]


def laz_pieces(count: int) -> bytes:
    """A packed scan whose table states so many pieces."""
    data = bytearray(models3d.las(True))
    start = struct.unpack_from("<I", data, 96)[0]
    struct.pack_into("<I", data, struct.unpack_from("<q", data, start)[0] + 4, count)
    return bytes(data)


HOSTILE = {
    "a count beyond the limit.ply": (edited(models3d.ply(), b"vertex 600", b"vertex 999999999999"), "--max-points"),
    "a count beyond the file.ply": (PLY_COUNT, "cut short"),
    "a count in words beyond the file.ply": (
        edited(models3d.ply(False), b"vertex 600", b"vertex 5000000"),
        "cut short",
    ),
    "no end of its header.ply": (b"ply\nformat ascii 1.0\n" + b"comment x\n" * 10_000, "damaged"),
    "corners that are not there.ply": (models3d.ply(faces=((0, 1, 600),)), "damaged"),
    "a polygon of a billion corners.ply": (
        edited(models3d.ply(faces=((0, 1, 2),)), b"list uchar int", b"list uint int"),
        "damaged|cut short",
    ),
    "an odd element.ply": (edited(models3d.ply(), b"property float x", b"property quad x"), "damaged"),
    "a count beyond the file.pcd": (edited(models3d.pcd(), b"POINTS 600", b"POINTS 6000000"), "cut short"),
    "a count beyond all.pcd": (edited(models3d.pcd(), b"POINTS 600", b"POINTS 99999999999"), "--max-points"),
    "packed beyond its size.pcd": (
        edited(models3d.pcd("binary_compressed"), b"POINTS 600", b"POINTS 700"),
        "cut short",
    ),
    "a field of many numbers.pcd": (edited(models3d.pcd(), b"COUNT 1 1", b"COUNT 1 99999999"), "x, y and z"),
    "a count beyond all.las": (las_header(107, "<I", 4_000_000_000), "--max-points"),
    "a count beyond the file.las": (las_header(107, "<I", 5_000_000), "cut short"),
    "records without end.las": (las_header(100, "<I", 4_000_000_000), "damaged"),
    "a scale that is no number.las": (las_header(131, "<d", float("nan")), "three finite"),
    "pieces without end.laz": (laz_pieces(4_000_000_000), "damaged"),
    "cut.laz": (models3d.las(True)[:1500], "damaged|cut short|fail"),
    "loops.gltf": (gltf(nodes=LOOP, scenes=[{"nodes": [0]}]), "below itself"),
    "meets itself.gltf": (gltf(nodes=TWICE, scenes=[{"nodes": [0]}]), "below itself"),
    "lies elsewhere.gltf": (gltf(buffers=[{"uri": "../../etc/passwd", "byteLength": 10}]), "other files"),
    "lies at a host.gltf": (gltf(buffers=[{"uri": "https://example.org/a", "byteLength": 10}]), "other files"),
    "images elsewhere.gltf": (gltf(images=[{"uri": "file:///etc/passwd"}]), "other files"),
    "counts.gltf": (gltf(accessors=counted), "cut short"),
    "packed.gltf": (gltf(extensionsUsed=["KHR_draco_mesh_compression"]), "packed"),
    "deep.gltf": (b'{"asset": ' + b"[" * 100_000, "damaged"),
    "many triangles.stl": (b"\0" * 80 + struct.pack("<I", 1_900_000_000), "cut short"),
    "nothing.obj": (b"o empty\nv 1 2\n", "no points|x, y and z|damaged"),
    "words.xyz": (b"1 2 3\n" * 100 + b"and so on\n" * 1000, "damaged"),
    "no numbers.xyz": (b"nan nan nan\n" * 10, "three finite"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_file_is_refused_in_words(refusal, name):
    data, words = HOSTILE[name]
    message = await refusal(data, name)
    assert any(word in message for word in words.split("|")), message
    assert name in message


@pytest.mark.parametrize("name", models3d.FILES)
async def test_a_file_that_is_cut_is_refused_or_drawn_as_far_as_it_goes(shown, name):
    data = models3d.FILES[name]()
    for share in (0.1, 0.6, 0.98):
        try:
            found = await shown(data[: int(len(data) * share)], name)
        except MediaRefused as refused:
            assert name in str(refused)
        else:
            assert 0 < found.points < 1000


@pytest.mark.parametrize(
    ("limit", "made"),
    [
        ("max_points", models3d.ply),
        ("max_triangles", models3d.FILES["solid.glb"]),
        ("max_points_bytes", models3d.ply),
        ("max_image_pixels", models3d.textured),  # 64 x 64
    ],
)
async def test_the_limits_name_their_settings(refusal, limit, made):
    assert f"--{limit.replace('_', '-')}" in await refusal(made(), "a model", **{limit: 100})


async def test_a_texture_is_measured_before_it_is_unpacked(refusal):
    """A few hundred bytes of it would be 81 megapixels."""
    header = struct.pack(">IIBBBBB", 9_000, 9_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    tree = {
        "images": [{"uri": "data:image/png;base64," + base64.b64encode(png).decode()}],
        "textures": [{"source": 0}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "meshes": lambda meshes: [{"primitives": [{**each["primitives"][0], "material": 0}]} for each in meshes],
    }
    assert "textures of more than" in await refusal(gltf(**tree), "bomb.gltf")


async def test_what_takes_too_long_is_ended(refusal):
    data = models3d.FILES["solid.glb"]()
    assert "--points-timeout-s" in await refusal(data, "solid.glb", points_timeout_s=0.001)


async def test_a_packed_scan_takes_no_more_memory_than_its_points(refusal):
    """Its header says how many there are: a megabyte cannot become gigabytes."""
    assert "--max-points" in await refusal(models3d.las(True), "scan.laz", max_points=500)


def test_lzf_reads_references_into_what_it_writes():
    packed = b"\x01ab" + bytes([(7 << 5) | 0, 20, 1])
    assert pcd.unpacked(packed, 2 + 29) == b"ab" * 15 + b"a"


async def test_a_model_is_asked_for_by_its_kind(loader):
    with pytest.raises(MediaRefused, match="point cloud or 3D model"):
        await loader().load_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100, kind="points")
    with pytest.raises(MediaRefused, match="an image"):
        await loader().load_bytes(models3d.ply(), kind="image")


async def test_a_file_shown_in_another_way_is_drawn_anew(loader, tmp_path):
    """What was drawn is kept, and known by how it was asked for: by its path as by its bytes."""
    (tmp_path / "solid.glb").write_bytes(models3d.FILES["solid.glb"]())
    media = loader()

    async def drawn(**how) -> Points:
        found = await media.load_path(tmp_path / "solid.glb", allowed_roots=[tmp_path], clip=Viewing(**how))
        assert isinstance(found, Points)
        return found

    first = await drawn(views=2, pixels=112 * 112)
    assert len((await drawn(views=3, pixels=112 * 112)).views) == 3
    assert (await drawn(views=2, pixels=140 * 140)).views[0].camera.side == 140
    assert (await drawn(views=2, pixels=112 * 112)).views[0].image is first.views[0].image
