"""Builds assets/fonts.tar.xz from installed font packages, each file's licence checked.

    pip install fonttools==4.68.0
    apt-get download $(cut -f2 training/assets/fonts.tsv | sort -u); for p in *.deb; do dpkg -x $p ROOT; done
    python -m training.collect_fonts --root ROOT --attributions

`assets/fonts.tsv` names the files: name in the archive, Debian package, path in the package and "hinted" where the
hints are kept (fonts for screens look different without them).  `heldout/` is copied byte by byte from the archive that
is there, so that evaluation goes on drawing with the very same fonts.

A subset carries the copyright and licence fields of its font and no family name, which a licence may reserve.
"""

import argparse
import io
import lzma
import re
import string
import tarfile
from collections import defaultdict
from pathlib import Path

from training.assets import read_fonts

ASSETS = Path(__file__).parent / "assets"
NEEDED = string.ascii_letters + string.digits + ".,;:-&!?/%$€£'()"  # what the world prints
KEPT = NEEDED + "".join(map(chr, range(32, 127)))
LICENCES = {  # short name -> what its fonts say; the first that is found counts
    "SIL Open Font License": r"Open Font Licen[cs]e|SIL OFL|scripts\.sil\.org/OFL",
    "Apache License 2.0": r"Apache License",
    "GUST Font License": r"GUST Font Licen[cs]e",
    "Bitstream Vera licence": r"\(c\) Bitstream|Bitstream Vera",
    "BSD 3-clause": r"Redistribution and use in source",
    "MIT": r"\bMIT\b|Permission is hereby granted, free of charge",
    "public domain": r"public domain|\bCC0\b",
}
REFUSED = r"\bGPL|General Public Licen|non-?commercial|share-?alike|CC.BY|Liberation Fonts license"
FAMILY, SUBFAMILY, FULL, POSTSCRIPT = 1, 2, 4, 6
COPYRIGHT, LICENCE, LICENCE_ADDRESS, FAMILY_OF_MANY = 0, 13, 14, 16
SMALLEST_X, TALLEST = 0.43, 1.2  # share of the nominal size: height of an x at least, of all letters together at most
ROOM_ABOVE = 0.07  # of the size, between a line's top and its highest letter, as most fonts have it
USE_TYPO_METRICS = 1 << 7
CHANGED = 1767225600  # seconds; of every file in the archive
FIELD_LENGTH = 300  # longer licence fields of the OFL repeat its text, which the archive holds once
TABLES = {"GlyphOrder", "head", "hhea", "maxp", "OS/2", "hmtx", "cmap", "name", "post", "loca", "glyf", "fpgm", "prep"}
TABLES |= {"CFF ", "cvt "}
FULL_TEXTS = {"Apache-2.0.txt": "usr/share/common-licenses/Apache-2.0"}
TEXT_PACKAGES = {"OFL-1.1.txt": ("fonts-liberation2", "SIL OPEN FONT LICENSE Version 1.1")}


def licence(font, copyright_file):
    """Short name of the font's licence by its own name table, else by its package's copyright file.

    ValueError where it is refused or unknown.
    """
    said = " ".join(str(r) for r in font["name"].names if r.nameID in (COPYRIGHT, LICENCE, LICENCE_ADDRESS))
    packaged = re.split(r"\n(?=Files: debian)", copyright_file)[0]
    for text in (said, packaged):
        if re.search(REFUSED, text, re.I):
            raise ValueError("a refused licence: " + re.search(REFUSED, text, re.I)[0])
        for name, pattern in LICENCES.items():
            if re.search(pattern, text, re.I):
                return name
    raise ValueError("no licence found")


def ink(font):
    """(lowest, highest) point of letters and digits, and the height of an x, in font units."""
    from fontTools.pens.boundsPen import BoundsPen

    glyphs, names, bounds = font.getGlyphSet(), font.getBestCmap(), {}
    for char in string.ascii_letters + string.digits:
        pen = BoundsPen(glyphs)
        glyphs[names[ord(char)]].draw(pen)
        bounds[char] = pen.bounds
    return min(b[1] for b in bounds.values()), max(b[3] for b in bounds.values()), bounds["x"][3]


def even_out(font):
    """Small letters grow to a common size, and the line's height becomes that of the letters."""
    low, high, x_height = ink(font)
    em = font["head"].unitsPerEm
    em_of_x, em_of_all = x_height / SMALLEST_X, (high - low) / TALLEST
    new = round(max(min(em, em_of_x), em_of_all))
    if "CFF " in font and new != em:
        font["CFF "].cff.topDictIndex[0].FontMatrix = [1 / new, 0, 0, 1 / new, 0, 0]
    font["head"].unitsPerEm = new
    font["hhea"].ascent, font["hhea"].descent, font["hhea"].lineGap = round(high + ROOM_ABOVE * new), round(low), 0
    font["OS/2"].fsSelection &= ~USE_TYPO_METRICS


def subset(font, number, hinted):
    """The font's file with the kept characters alone, no layout tables and no family name."""
    from fontTools import subset as subsetter

    options = subsetter.Options(
        hinting=hinted,
        layout_features=[],
        name_IDs=[COPYRIGHT, LICENCE, LICENCE_ADDRESS],
        notdef_outline=True,
        desubroutinize=True,
    )
    for tag in set(font.keys()) - TABLES:
        del font[tag]
    maker = subsetter.Subsetter(options)
    maker.populate(text=KEPT)
    maker.subset(font)
    for record in font["name"].names:
        if record.nameID == LICENCE and len(str(record)) > FIELD_LENGTH and "SIL OPEN FONT LICENSE" in str(record):
            record.string = "SIL Open Font License, Version 1.1: licences/OFL-1.1.txt"
    for kind in (FAMILY, SUBFAMILY, FULL, POSTSCRIPT):
        font["name"].setName(f"Subset{number}", kind, 3, 1, 0x409)
    if not hinted:
        even_out(font)
    buffer = io.BytesIO()
    font.save(buffer)
    return buffer.getvalue()


def collect(root):
    """(archive name -> file, licence -> family -> [files, packages]) of all files of fonts.tsv."""
    from fontTools.ttLib import TTFont

    files, found, refused = {}, defaultdict(dict), []
    for number, line in enumerate((ASSETS / "fonts.tsv").read_text().splitlines()):
        name, package, path, *flags = line.split("\t")
        font = TTFont(root / path, recalcTimestamp=False)
        missing = [c for c in NEEDED if ord(c) not in font.getBestCmap()]
        notes = root / "usr/share/doc" / package / "copyright"
        # texlive's file speaks of hundreds of packages: it proves nothing about one font
        text = notes.read_text(errors="replace") if notes.exists() and not package.startswith("texlive") else ""
        try:
            kind = licence(font, text)
            if missing:
                raise ValueError(f"no glyph for {''.join(missing)}")
        except ValueError as error:
            refused.append(f"{package}: {path}: {error}")
            continue
        family = font["name"].getDebugName(FAMILY_OF_MANY) or font["name"].getDebugName(FAMILY)
        row = found[kind].setdefault(family.strip(), [0, set()])
        row[0] += 1
        row[1].add(package)
        files["train/" + name] = subset(font, number, "hinted" in flags)
    if refused:
        raise SystemExit("\n".join(refused) + "\nTake these lines out of assets/fonts.tsv.")
    return files, found


def licence_texts(root):
    """Full texts that fonts of the archive refer to."""
    out = {"licences/" + name: (root / path).read_bytes() for name, path in FULL_TEXTS.items()}
    for name, (package, title) in TEXT_PACKAGES.items():
        text = (root / "usr/share/doc" / package / "copyright").read_text()
        text = text[text.index(title) :].split("\n\n")[0]
        out["licences/" + name] = re.sub(r"(?m)^ \.?", "", text).encode() + b"\n"
    return out


def write(path, files):
    """An archive that is the same for the same files."""
    with (
        lzma.open(path, "wb", preset=9 | lzma.PRESET_EXTREME) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), CHANGED
            archive.addfile(entry, io.BytesIO(data))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=Path("/"), help="where the packages are installed or unpacked")
    parser.add_argument("--out", type=Path, default=ASSETS / "fonts.tar.xz")
    parser.add_argument("--attributions", action="store_true", help="print the table for ATTRIBUTIONS.md")
    args = parser.parse_args()
    held_out = {f"heldout/{name}": data for name, data in read_fonts("heldout/").items()}
    files, found = collect(args.root)
    write(args.out, files | held_out | licence_texts(args.root))
    for kind, families in found.items():
        print(f"{kind}: {len(families)} families, {sum(n for n, _ in families.values())} files")
        if args.attributions:
            by_package = defaultdict(list)
            for family, (_, packages) in sorted(families.items()):
                by_package[", ".join(sorted(packages))].append(family)
            for package, names in sorted(by_package.items()):
                print(f"| {kind} | {', '.join(names)} | `{package}` |")
    print(f"{len(files)} training files, {len(held_out)} held out, {args.out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
