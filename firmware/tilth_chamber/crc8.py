"""The checksum of Sensirion's sensors: CRC-8, polynomial 0x31, start 0xFF."""


def _table():
    table = bytearray(256)
    for i in range(256):
        crc = i
        for _ in range(8):
            crc = ((crc << 1) ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
        table[i] = crc
    return bytes(table)


TABLE = _table()


class CrcError(Exception):
    """Bytes arrived, but not those that were sent."""


def word_crc(high, low):
    """CRC of one 16-bit word; 0xBEEF gives 0x92 (Sensirion's example)."""
    return TABLE[TABLE[0xFF ^ high] ^ low]


def checked(data, n):
    """Return `data`, `n` bytes, without the CRC byte after every second byte.

    Raises
    ------
    CrcError
        If one of them is wrong, or bytes are missing.
    """
    if len(data) != n:
        raise CrcError("%d bytes" % len(data))
    table = TABLE
    out = bytearray(n // 3 * 2)
    j = 0
    for i in range(0, n, 3):
        a = data[i]
        b = data[i + 1]
        if table[table[0xFF ^ a] ^ b] != data[i + 2]:
            raise CrcError("word %d" % (i // 3))
        out[j] = a
        out[j + 1] = b
        j += 2
    return out
