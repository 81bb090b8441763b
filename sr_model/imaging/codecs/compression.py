"""What files say of how strongly they were compressed: the tables of JPEG, the quantizer of WebP."""

from PIL import Image

TABLES = "jpeg_tables"  # in the info of an image that has been turned upright
QUANTIZER = "webp_quantizer"
CHUNKS_AT = 12  # bytes into a WebP file


def jpeg_tables(image: Image.Image) -> tuple[tuple[int, ...], ...]:
    """The quantization tables of the JPEG that a Pillow image was read from, luma first; none for other images."""
    tables = getattr(image, "quantization", None)
    if not tables:
        found: tuple[tuple[int, ...], ...] = image.info.get(TABLES, ())
        return found
    return tuple(tuple(tables[key]) for key in sorted(tables))


def webp_quantizer(file: bytes) -> int | None:
    """How coarse a lossy WebP is, from 0 to 127; libwebp makes 2 of quality 98, 36 of 75 and 68 of 30.

    It is the index that the first frame's header gives (RFC 6386, section 9), behind what it says of segments and loop
    filters. None for lossless files, other formats and damaged ones.
    """
    if file[:4] != b"RIFF" or file[8:12] != b"WEBP":
        return None
    at = CHUNKS_AT
    while (kind := file[at : at + 4]) and kind != b"VP8 ":
        size = int.from_bytes(file[at + 4 : at + 8], "little")
        at += 24 if kind == b"ANMF" else 8 + size + size % 2  # a frame of an animation holds chunks of its own
    frame = file[at + 8 :]
    if len(frame) < 12 or frame[0] & 1 or frame[3:6] != b"\x9d\x01\x2a":
        return None
    bits = _Bits(frame[10:])
    bits.number(2)  # colour space and clamping
    if bits.number(1):  # segments
        with_map, with_data = bits.number(1), bits.number(1)
        if with_data:
            bits.number(1)
            bits.skip_optional(4, 7 + 1)  # quantizers
            bits.skip_optional(4, 6 + 1)  # filters
        if with_map:
            bits.skip_optional(3, 8)
    bits.number(1 + 6 + 3)  # the filter's kind, strength and sharpness
    if bits.number(1) and bits.number(1):
        bits.skip_optional(8, 6 + 1)
    bits.number(2)  # partitions
    return bits.number(7)


class _Bits:
    """VP8's arithmetic decoder (RFC 6386, section 7) where both values of a bit are equally likely."""

    def __init__(self, data: bytes) -> None:
        self._value, self._data, self._at = int.from_bytes(data[:2], "big"), data, 2
        self._range, self._shifts = 255, 0

    def number(self, length: int) -> int:
        """The next `length` bits, the highest first."""
        total = 0
        for _ in range(length):
            total = 2 * total + self._bit()
        return total

    def skip_optional(self, count: int, length: int) -> None:
        """`count` times a bit and, where it is set, `length` more."""
        for _ in range(count):
            if self._bit():
                self.number(length)

    def _bit(self) -> int:
        split = (self._range + 1) // 2
        bit = int(self._value >= split << 8)
        if bit:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._range, self._value, self._shifts = 2 * self._range, 2 * self._value, self._shifts + 1
            if self._shifts == 8:
                self._shifts = 0
                self._value |= self._data[self._at] if self._at < len(self._data) else 0
                self._at += 1
        return bit
