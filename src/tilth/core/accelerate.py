"""JAX, set up in one place: double precision, and compiled code that is kept.

A module that computes with JAX takes it from here::

    from tilth.core.accelerate import jax, jnp

Importing this switches JAX to 64-bit numbers for the whole process, because a ledger
of water or energy over many years drifts in 32 bits; code that wants 32 bits, such as
a network, names its dtypes. Programs are compiled once per machine: XLA's output is
kept in the folder ``jax`` beside the downloads (see `tilth.core.datasets`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tilth.core.datasets import cache_folder
from tilth.core.optional import load

__all__ = ["jax", "jnp"]

#: Compiling faster than this is not worth a file, s.
_KEEP_SECONDS = 0.5

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax = load("jax", "jax")
    jnp = load("jax.numpy", "jax")


jax.config.update("jax_enable_x64", True)
if jax.config.values["jax_compilation_cache_dir"] is None:  # else the user has chosen
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _KEEP_SECONDS)
