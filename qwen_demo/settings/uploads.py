"""What may be uploaded: the settings of one group, in a file of its own."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from qwen_demo.settings.values import MIB, Bytes, FullHosts, Usually


class Uploads(BaseModel):
    """What may be uploaded."""

    max_image_bytes: Bytes = Field(20 * MIB, ge=1, description="largest image file")
    max_image_pixels: int = Field(67_000_000, ge=1, description="largest image, width times height")
    decoded_pixels: int = Field(
        4 * 2560 * 28 * 28,
        ge=28 * 28,
        description="larger images are scaled down to this area as they are decoded (never below --max-pixels)",
    )
    decoders: Annotated[int, Usually("one per processor")] = Field(
        0, ge=0, description="images decoded at the same time, and half as many videos; 0 takes one per processor"
    )
    image_timeout_s: float = Field(30.0, gt=0, description="longest time decoding one image may take")
    max_aspect_ratio: float = Field(200.0, ge=1, le=200, description="longest side over shortest side")
    max_images: int = Field(8, ge=1, description="images and videos in one conversation that the model sees")
    max_video_bytes: Bytes = Field(100 * MIB, ge=1, description="largest video file")
    max_video_seconds: float = Field(600.0, gt=0, description="longest video")
    max_video_pixels: int = Field(4096 * 2304, ge=1, description="largest video frame, width times height")
    frame_pixels: int = Field(768 * 28 * 28, ge=28 * 28, description="area that sampled frames are scaled down to")
    max_frames: int = Field(32, ge=2, description="frames sampled from one video")
    video_fps: float = Field(2.0, gt=0, description="frames sampled per second of video, up to max_frames")
    video_timeout_s: float = Field(30.0, gt=0, description="longest time decoding one video may take")
    max_pdf_bytes: Bytes = Field(50 * MIB, ge=1, description="largest PDF file")
    max_pdf_pages: int = Field(200, ge=1, description="pages that a PDF may have")
    pdf_page_pixels: int = Field(
        2048 * 28 * 28, ge=28 * 28, le=50_000_000, description="area that a page of a PDF is drawn in"
    )
    pdf_timeout_s: float = Field(15.0, gt=0, description="longest time drawing one page of a PDF may take")
    max_points_bytes: Bytes = Field(256 * MIB, ge=1, description="largest file with a point cloud or 3D model")
    max_points: int = Field(12_000_000, ge=1, description="points, or corners of triangles, in one such file")
    max_triangles: int = Field(2_000_000, ge=1, description="triangles in one such file")
    points_views: int = Field(6, ge=1, le=12, description="views drawn of it, one from above and the others around")
    points_view_pixels: int = Field(
        256 * 28 * 28, ge=16 * 28 * 28, le=2560 * 28 * 28, description="area of each of these views"
    )
    points_timeout_s: float = Field(30.0, gt=0, description="longest time reading and drawing one may take")
    upload_dir: Annotated[Path | None, Usually("a private one that is removed at the end")] = Field(
        None, description="folder for uploads; by default a private one that is removed at the end"
    )
    max_upload_bytes: Bytes = Field(4096 * MIB, ge=MIB, description="all uploads together; the oldest go first")
    fetch_urls: Literal["off", "https"] = Field("https", description="whether images may be given as URLs")
    fetch_hosts: Annotated[FullHosts, Usually("all")] = Field(
        (), description="if given, only these hosts may be fetched from (comma-separated)"
    )
    fetch_timeout_s: float = Field(10.0, gt=0, description="longest time one download may take")
