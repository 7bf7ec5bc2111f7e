"""Whether a command was signed for this device: HMAC with SHA-256."""

import hashlib


def hmac_sha256(key, message):
    r"""Return the keyed hash of a message.

    .. math:: H((k \oplus opad) \| H((k \oplus ipad) \| m))

    Parameters
    ----------
    key, message : bytes
        Of any length.

    Returns
    -------
    bytes
        32 bytes.

    References
    ----------
    Krawczyk, Bellare & Canetti (1997), RFC 2104; vectors in RFC 4231.
    """
    if len(key) > 64:
        key = hashlib.sha256(key).digest()
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes([k ^ 0x36 for k in key]))
    inner.update(message)
    outer = hashlib.sha256(bytes([k ^ 0x5C for k in key]))
    outer.update(inner.digest())
    return outer.digest()


def same(a, b):
    """Compare two byte strings in a time that does not tell where they differ."""
    if len(a) != len(b):
        return False
    difference = 0
    for i in range(len(a)):
        difference |= a[i] ^ b[i]
    return difference == 0


def is_signed(payload, key):
    """Tell whether a message ends with the signature of all that precedes it.

    Parameters
    ----------
    payload : bytes
        A JSON object whose last member is ``"sig"``, 64 lower-case hexadecimal
        digits: the keyed hash of the bytes before ``,"sig":``.
    key : bytes
        Of this device; without one nothing is signed.
    """
    cut = payload.rfind(b',"sig":"')
    if not key or cut < 0 or len(payload) != cut + 74 or payload[-2:] != b'"}':
        return False
    digest = hmac_sha256(key, payload[:cut])
    wanted = "".join([f"{byte:02x}" for byte in digest]).encode()
    return same(wanted, payload[cut + 8 : cut + 72])
