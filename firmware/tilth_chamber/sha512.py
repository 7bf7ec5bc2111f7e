"""SHA-512 with whole numbers, for a chip whose hashlib ends at SHA-256."""

MASK = 0xFFFFFFFFFFFFFFFF


def _primes(n):
    found = []
    candidate = 2
    while len(found) < n:
        if all(candidate % p for p in found):
            found.append(candidate)
        candidate += 1
    return found


def _root(value, k):
    """Return the whole part of the k-th root, by Newton's method from above."""
    x = 1 << 70  # above the roots of all that is asked for here
    while True:
        y = ((k - 1) * x + value // x ** (k - 1)) // k
        if y >= x:
            return x
        x = y


# The first 64 bits of the fractions of the square roots of the first 8 primes, and
# of the cube roots of the first 80 (FIPS 180-4, sections 4.2.3 and 5.3.5).
_START = [_root(p << 128, 2) & MASK for p in _primes(8)]
_K = [_root(p << 192, 3) & MASK for p in _primes(80)]


def _turn(x, n):
    return (x >> n) | (x << (64 - n)) & MASK


def _block(state, block):
    """One application of the compression function to 128 bytes."""
    w = [int.from_bytes(block[i : i + 8], "big") for i in range(0, 128, 8)]
    for i in range(16, 80):
        x, y = w[i - 15], w[i - 2]
        s0 = _turn(x, 1) ^ _turn(x, 8) ^ x >> 7
        s1 = _turn(y, 19) ^ _turn(y, 61) ^ y >> 6
        w.append((w[i - 16] + s0 + w[i - 7] + s1) & MASK)
    a, b, c, d, e, f, g, h = state
    for i in range(80):
        big1 = _turn(e, 14) ^ _turn(e, 18) ^ _turn(e, 41)
        t1 = h + big1 + (e & f ^ (e ^ MASK) & g) + _K[i] + w[i]
        big0 = _turn(a, 28) ^ _turn(a, 34) ^ _turn(a, 39)
        t2 = big0 + (a & b ^ a & c ^ b & c)
        h, g, f, e = g, f, e, (d + t1) & MASK
        d, c, b, a = c, b, a, (t1 + t2) & MASK
    fresh = (a, b, c, d, e, f, g, h)
    return [(state[i] + fresh[i]) & MASK for i in range(8)]


def sha512(message):
    """Return the SHA-512 digest of a message.

    Parameters
    ----------
    message : bytes
        Of any length; meant for a few hundred bytes.

    Returns
    -------
    bytes
        64 bytes.

    References
    ----------
    FIPS 180-4 (2015), section 6.4.
    """
    padded = message + b"\x80" + bytes((111 - len(message)) % 128)
    padded += (8 * len(message)).to_bytes(16, "big")
    state = _START
    for at in range(0, len(padded), 128):
        state = _block(state, padded[at : at + 128])
    return b"".join([x.to_bytes(8, "big") for x in state])
