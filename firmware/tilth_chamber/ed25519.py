"""Verification of Ed25519 signatures with whole numbers; it cannot sign.

Points of the curve -x^2 + y^2 = 1 + d x^2 y^2 over the integers modulo p are kept
in extended coordinates (X, Y, Z, T), x = X/Z, y = Y/Z, xy = T/Z.
"""

from .sha512 import sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def _add(a, b):
    """Sum of two points, complete (Hisil et al. 2008, section 3.1, a = -1)."""
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    aa = (y1 - x1) * (y2 - x2) % P
    bb = (y1 + x1) * (y2 + x2) % P
    cc = 2 * t1 * t2 * D % P
    dd = 2 * z1 * z2 % P
    e, f, g, h = bb - aa, dd - cc, dd + cc, bb + aa
    return e * f % P, g * h % P, f * g % P, e * h % P


def _double(a):
    """Twice a point (Hisil et al. 2008, section 3.3)."""
    x, y, z, _ = a
    xx, yy = x * x % P, y * y % P
    h = xx + yy
    e = h - (x + y) * (x + y) % P
    g = xx - yy
    f = 2 * z * z + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def _decode(data):
    """Point of 32 bytes, None if they are none."""
    y = int.from_bytes(data, "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7 % P, (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (v * x * x - u) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def _encode(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = _decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verify(public, message, signature):
    r"""Tell whether a signature of a message is that of a public key.

    Accepts if the encoding of :math:`[S]B - [h]A` is R, with
    :math:`h = SHA512(R \| A \| M)`; an S not below the group's order is refused.

    Parameters
    ----------
    public : bytes
        32 bytes.
    message : bytes
        What was signed.
    signature : bytes
        64 bytes, R and S.

    Returns
    -------
    bool
        False also for anything malformed.

    References
    ----------
    Josefsson & Liusvaara (2017), RFC 8032, section 5.1.7.
    """
    if len(public) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    key = _decode(public)
    if key is None or s >= L:
        return False
    h = int.from_bytes(sha512(signature[:32] + public + message), "little") % L
    minus = (P - key[0], key[1], 1, P - key[3])
    sums = (None, BASE, minus, _add(BASE, minus))
    point = (0, 1, 1, 0)
    for i in range(252, -1, -1):  # both products with one row of doublings
        point = _double(point)
        term = sums[(s >> i & 1) + 2 * (h >> i & 1)]
        if term:
            point = _add(point, term)
    return _encode(point) == signature[:32]
