"""Which of Pillow's formats are opened, by which extensions they are found, and why the others are not."""

from __future__ import annotations

# Pillow's name of the format -> extensions, in the order in which the bytes are tried: those without a signature last.
FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".j2c", ".jpc", ".jpf"),
    "ICO": (".ico",),
    "CUR": (".cur",),
    "ICNS": (".icns",),
    "PSD": (".psd",),
    "QOI": (".qoi",),
    "DDS": (".dds",),
    "SGI": (".sgi", ".rgb", ".rgba", ".bw"),
    "SUN": (".ras",),
    "PCX": (".pcx",),
    "DCX": (".dcx",),
    "XPM": (".xpm",),
    "XBM": (".xbm",),
    "MSP": (".msp",),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
}
EXTENSIONS = frozenset(extension for extensions in FORMATS.values() for extension in extensions)

# Pillow's name of the format -> why it is not opened, whatever is in it.
LEFT_OUT: dict[str, str] = {
    "EPS": "starts Ghostscript",
    "WMF": "is drawn by Windows alone",
    "BUFR": "Pillow knows its header, not its pixels",
    "GRIB": "Pillow knows its header, not its pixels",
    "HDF5": "Pillow knows its header, not its pixels",
    "MPEG": "Pillow knows its header, not its pixels",
    "FITS": "measurements without a defined white; its gzip form is unpacked without a bound",
    "SPIDER": "measurements without a defined white; it has no signature",
    "MCIDAS": "measurements without a defined white",
    "IPTC": "a container that is written to a temporary file, and has no signature",
    "IM": "has no signature: any text would be searched for a header",
    "IMT": "has no signature: any text would be searched for a header",
    "PCD": "has no signature where Pillow looks, and one of its five sizes would be taken silently",
    "XVTHUMB": "previews of 8-bit colour, made of pictures that should be used instead",
    "FLI": "is a film",
    "FPX": "is a film or a document, and needs a further library",
    "MIC": "is a film or a document, and needs a further library",
    "BLP": "holds the textures of one game",
    "FTEX": "holds the textures of one game",
    "GBR": "holds brushes, whose transparency is their content",
    "PIXAR": "of one renderer of the 1980s; Pillow reads a fraction of it",
}
