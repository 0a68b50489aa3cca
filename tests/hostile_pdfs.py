"""PDF files for tests, written by hand: sound ones and ones that no reader should trust."""

import zlib


def pdf(*contents: bytes, box: str = "0 0 200 100", extra: str = "", objects: tuple[bytes, ...] = ()) -> bytes:
    """A document of one page for each content stream.

    Args:
        box: the media box of every page.
        extra: entries of every page's dictionary.
        objects: further objects; the first has the number `3 + 2 * len(contents)`.
    """
    kids = " ".join(f"{3 + 2 * index} 0 R" for index in range(len(contents)))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(contents)} /Kids [{kids}] >>".encode(),
    ]
    for index, content in enumerate(contents):
        font = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
        resources = "" if "/Resources" in extra else font
        bodies.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Contents {4 + 2 * index} 0 R {resources} {extra} >>".encode()
        )
        bodies.append(stream(content))
    return file(*bodies, *objects)


def stream(content: bytes, entries: str = "") -> bytes:
    return f"<< /Length {len(content)} {entries} >>\nstream\n".encode() + content + b"\nendstream"


def file(*bodies: bytes, trailer: str = "") -> bytes:
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    out += f"trailer\n<< /Size {len(bodies) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def words(text: str, size: int = 20) -> bytes:
    """A content stream that prints one line."""
    return f"BT /F1 {size} Tf 10 40 Td ({text}) Tj ET".encode()


RED = b"1 0 0 rg 0 0 100 100 re f"


def locked() -> bytes:
    """Says that it is encrypted, with a key that no empty password gives."""
    plain = "<" + "ab" * 32 + ">"
    encrypt = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O {plain} /U {plain} /P -4 >> /ID [<00><00>]"
    return file(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>",
        trailer=encrypt,
    )


def many_pages(count: int) -> bytes:
    """The same page `count` times over, which costs seven bytes each."""
    kids = b"3 0 R " * count
    return file(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>",
    )


def claims_pages(count: int) -> bytes:
    """Says that it has `count` pages and holds one."""
    return many_pages(1).replace(b"/Count 1", b"/Count %d" % count)


def circle_of_pages() -> bytes:
    """A tree of pages that is its own parent."""
    return file(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 9 /Kids [2 0 R 2 0 R 2 0 R] >>")


def nested_forms(depth: int, width: int = 10) -> bytes:
    """Forms that each draw the next `width` times: `width ** depth` rectangles."""
    first = 5
    forms = []
    for level in range(depth):
        last = level == depth - 1
        content = b"0 0 1 1 re f" if last else b"/X Do " * width
        link = "" if last else f"/Resources << /XObject << /X {first + level + 1} 0 R >> >>"
        forms.append(stream(content, f"/Type /XObject /Subtype /Form /BBox [0 0 100 100] {link}"))
    return pdf(b"/X Do " * width, extra=f"/Resources << /XObject << /X {first} 0 R >> >>", objects=tuple(forms))


def bomb(mebibytes: int, layers: int = 1) -> bytes:
    """A content stream of spaces, packed `layers` times."""
    data = b" " * (mebibytes << 20)
    for _ in range(layers):
        data = zlib.compress(data, 9)
    filters = "/Filter [" + "/FlateDecode " * layers + "]"
    return file(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Contents 4 0 R >>",
        stream(data, filters),
    )


def giant_image() -> bytes:
    """An image that says it has 60,000 x 60,000 pixels."""
    entries = "/Type /XObject /Subtype /Image /Width 60000 /Height 60000 /ColorSpace /DeviceRGB /BitsPerComponent 8"
    image = stream(zlib.compress(b"\0" * (1 << 20)), entries + " /Filter /FlateDecode")
    return pdf(b"100 0 0 100 0 0 cm /X Do", extra="/Resources << /XObject << /X 5 0 R >> >>", objects=(image,))


def form(value: str) -> bytes:
    """A page with one field that somebody filled in, drawn by the reader."""
    field = (
        f"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V ({value}) /Rect [10 30 190 60] /F 4 /DA (/Helv 20 Tf 0 g) "
        "/MK << /BG [0 0 1] >> >>"
    )
    return file(
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [4 0 R] /NeedAppearances true /DA (/Helv 20 Tf 0 g) "
        b"/DR << /Font << /Helv << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >> >>",
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] /Annots [4 0 R] >>",
        field.encode(),
    )
