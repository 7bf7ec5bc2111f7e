"""Signatures the firmware checks: against the standards and an independent library."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from tilth_chamber.ed25519 import L, P, verify
from tilth_chamber.sha512 import sha512
from tilth_chamber.sign import hmac_sha256, is_signed, same

from tilth.fleet.protocol import Command, derive_command_key, encode_command

# RFC 8032, section 7.1: secret, public, message, signature of tests 1, 2, 3 and
# "SHA(abc)".
RFC8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
        "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e"
        "458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290"
        "ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ec"
        "fdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


def keys(seed):
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return private, private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC8032)
def test_the_signatures_of_rfc_8032_hold(secret, public, message, signature):
    public, message = bytes.fromhex(public), bytes.fromhex(message)
    signature = bytes.fromhex(signature)
    assert keys(bytes.fromhex(secret))[1] == public
    assert verify(public, message, signature)
    assert not verify(public, message + b"\0", signature)


@settings(max_examples=15, deadline=None)
@given(
    st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.integers(0, 511)
)
def test_it_agrees_with_an_independent_library_and_no_flipped_bit_passes(
    seed, message, bit
):
    private, public = keys(seed)
    signature = private.sign(message)
    assert verify(public, message, signature)
    bad = bytearray(signature)
    bad[bit // 8] ^= 1 << bit % 8
    assert not verify(public, message, bytes(bad))
    assert not verify(keys(bytes(32))[1], message, signature) or seed == bytes(32)


def test_a_signature_shifted_by_the_group_order_is_refused():
    private, public = keys(bytes(range(32)))
    signature = private.sign(b"m")
    s = int.from_bytes(signature[32:], "little") + L
    assert not verify(public, b"m", signature[:32] + s.to_bytes(32, "little"))


def test_malformed_keys_and_signatures_are_refused():
    private, public = keys(bytes(32))
    signature = private.sign(b"m")
    assert not verify(b"", b"m", signature)
    assert not verify(public, b"m", signature[:63])
    assert not verify(P.to_bytes(32, "little"), b"m", signature)
    assert not verify((2).to_bytes(32, "little"), b"m", signature)  # no point has y = 2
    assert not verify((1 | 1 << 255).to_bytes(32, "little"), b"m", signature)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 111, 112, 127, 128, 129, 239, 240, 1000])
def test_sha512_is_that_of_the_standard_library(n):
    message = bytes(i * 7 % 256 for i in range(n))
    assert sha512(message) == hashlib.sha512(message).digest()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=300))
def test_the_keyed_hash_is_that_of_the_standard_library(key, message):
    assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")


def test_a_command_of_the_server_is_signed_and_only_for_its_device():
    key = derive_command_key(bytes(32), "a4cf12000001")
    payload = encode_command(key, Command("c-" + "0" * 16, "reboot", {}, 0, 10))
    assert is_signed(payload, key)
    assert not is_signed(payload, derive_command_key(bytes(32), "a4cf12000002"))
    assert not is_signed(payload, b"")
    for i in range(len(payload)):
        bad = bytearray(payload)
        bad[i] ^= 1
        assert not is_signed(bytes(bad), key)
    assert not is_signed(payload[:-1], key)
    assert not is_signed(payload + b" ", key)
    assert not is_signed(b"", key)


def test_comparing_looks_at_every_byte():
    assert same(b"abc", b"abc")
    assert not same(b"abc", b"abd")
    assert not same(b"abc", b"ab")
