"""Point clouds and 3D models, by numbers: `python -m benchmarks.points [geometry] [model] [speed]`; all without a name.

Geometry: generated scenes of known solids at odd scales, in tilted frames, with colours and noise: where marks in views lead
(`points_scenes.py`). Model: what the embedded model makes of views drawn for it (`points_model.py`). Speed: large clouds
and meshes, beside a peer (`points_speed.py`). Prints tables and writes JSON to `benchmarks/results/`.
"""

import argparse
import asyncio
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as a decoder has it

from benchmarks import machine

PARTS = ("geometry", "model", "speed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=(*PARTS, []), default=PARTS)
    parser.add_argument("--scenes", type=int, default=100, help="of the geometry's splits, and of questions")
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--subdivisions", type=int, default=7, help="of the mesh: 20 * 4 ** this triangles")
    parser.add_argument("--peer", help="a Python with trimesh and pyrender, to draw the same files")
    args = parser.parse_args()
    for part in args.parts:
        if part == "geometry":
            from benchmarks import points_scenes

            found = asyncio.run(points_scenes.splits(args.scenes))
            print(
                machine.table([{key: row[key] for key in row if not key.startswith("worst")} for row in found["rows"]])
            )
        elif part == "model":
            from benchmarks import points_model

            found = {"scenes": args.scenes, "rows": asyncio.run(points_model.figures(args.scenes))}
            print(machine.table(found["rows"]))
        else:
            from benchmarks import points_speed

            found = {"rows": asyncio.run(points_speed.rows(args.peer, args.points, args.subdivisions))}
            print(machine.table(found["rows"], {key: key for row in found["rows"] for key in row}))
        load = os.getloadavg()[0]
        print(f"load average {load:.1f}; {machine.write(f'points {part}', {**found, 'load_average': load}).name}")


if __name__ == "__main__":
    main()
