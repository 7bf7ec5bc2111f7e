"""One kernel, in memory or on Dask: the wrapper every gridded method goes through."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError, KernelError, TilthError
from tilth.core.optional import load

#: Seconds to wait for a scheduler to answer; one on the same network needs less.
CONNECT_SECONDS = 10


def apply_kernel(
    kernel: Callable[..., Any],
    *arrays: xr.DataArray,
    core_dims: Sequence[Sequence[str]],
    output_dims: Sequence[Sequence[str]] = ((),),
    output_dtypes: Sequence[Any] = (float,),
    output_sizes: Mapping[str, int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Apply a per-block kernel to arrays in memory or backed by Dask.

    The kernel is called as ``kernel(*blocks, **options)``. Every block is a NumPy
    array in C order with the same leading (loop) axes, those of all arrays together,
    followed by its core axes. It must treat the loop axes row by row: then the result
    does not depend, to the last bit, on how the arrays are chunked.

    Parameters
    ----------
    kernel : callable
        Function of NumPy arrays; compiled or plain. For a cluster it must be
        importable there or picklable.
    *arrays : xarray.DataArray
        Arguments of the kernel. An array without some loop dimension is repeated
        along it; a core dimension in several chunks is merged into one.
    core_dims : sequence of sequence of str
        Per array, the dimensions the kernel works along, in its order.
    output_dims : sequence of sequence of str, default one output without any
        Per output, the dimensions it has after the loop dimensions.
    output_dtypes : sequence of dtype, default (float,)
        Per output, its type; results are cast to it.
    output_sizes : mapping of str to int, optional
        Length of every output dimension that no input has.
    options : mapping, optional
        Keyword arguments of the kernel, the same for every block.

    Returns
    -------
    xarray.DataArray or tuple of them
        One per output, without attributes, lazy if an input is.

    Raises
    ------
    InputError
        If an array is not a DataArray, lacks a core dimension or does not share the
        coordinates of the others.
    KernelError
        If the kernel fails or returns the wrong shapes; on Dask when computed.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> heights = xr.DataArray([[1.0, 3.0], [2.0, 2.0]], dims=("cell", "time"))
    >>> apply_kernel(np.ptp, heights, core_dims=[["time"]], options={"axis": -1}).values
    array([2., 0.])
    """
    core = [tuple(dims) for dims in core_dims]
    outputs = [tuple(dims) for dims in output_dims]
    _check_arguments(arrays, core, outputs, output_dtypes)
    try:
        aligned = xr.align(*arrays, join="exact", copy=False)
    except ValueError as error:
        names = ", ".join(str(array.name or "unnamed") for array in arrays)
        raise InputError(
            f"the arrays {names} do not have the same coordinates: reindex them to "
            "each other first, so that no row is lost unseen"
        ) from error
    prepared = [
        array.chunk(dict.fromkeys(dims, -1)) if array.chunks is not None else array
        for array, dims in zip(aligned, core, strict=True)
    ]
    lengths = {
        d: a.sizes[d] for a, dims in zip(aligned, core, strict=True) for d in dims
    }
    lengths |= output_sizes or {}
    unknown = {dim for dims in outputs for dim in dims} - set(lengths)
    if unknown:
        raise InputError(
            f"output_sizes lacks the length of {', '.join(sorted(unknown))}"
        )
    block = _Block(
        kernel,
        [len(dims) for dims in core],
        [tuple(lengths[dim] for dim in dims) for dims in outputs],
        [np.dtype(kind) for kind in output_dtypes],
    )
    return xr.apply_ufunc(
        block,
        *prepared,
        kwargs=dict(options or {}),
        input_core_dims=core,
        output_core_dims=outputs,
        keep_attrs=False,
        dask="parallelized",
        output_dtypes=block.dtypes,
        dask_gufunc_kwargs={"output_sizes": dict(output_sizes or {})},
    )


def _check_arguments(
    arrays: Sequence[Any],
    core: Sequence[tuple[str, ...]],
    outputs: Sequence[tuple[str, ...]],
    dtypes: Sequence[Any],
) -> None:
    """Raise unless the arrays and the lists of dimensions belong together."""
    if len(core) != len(arrays):
        raise InputError(
            f"{len(arrays)} arrays need as many core_dims, got {len(core)}"
        )
    if len(outputs) != len(dtypes):
        raise InputError(f"{len(outputs)} outputs, but {len(dtypes)} output_dtypes")
    for array, dims in zip(arrays, core, strict=True):
        if not isinstance(array, xr.DataArray):
            raise InputError(
                f"a kernel takes DataArrays, got {type(array).__name__}: give plain "
                "numbers as options"
            )
        missing = set(dims) - set(array.dims)
        if missing:
            raise InputError(
                f"{array.name} lacks the dimension {', '.join(sorted(missing))}; "
                f"it has {', '.join(map(str, array.dims))}"
            )


class _Block:
    """The kernel on one block: same memory layout everywhere, checked results."""

    def __init__(
        self,
        kernel: Callable[..., Any],
        n_core: Sequence[int],
        shapes: Sequence[tuple[int, ...]],
        dtypes: Sequence[np.dtype],
    ) -> None:
        self.kernel = kernel
        self.__name__ = str(getattr(kernel, "__name__", type(kernel).__name__))
        self.n_core = n_core
        self.shapes = shapes
        self.dtypes = dtypes

    def __call__(self, *blocks: Any, **options: Any) -> Any:
        shapes = [
            (block.shape[: block.ndim - n], block.shape[block.ndim - n :])
            for block, n in zip(blocks, self.n_core, strict=True)
        ]
        loop = np.broadcast_shapes(*(leading for leading, _ in shapes))
        # Sums depend on the memory order in their last bits: make it one and the same.
        arrays = [
            np.asarray(
                block if leading == loop else np.broadcast_to(block, loop + core),
                order="C",
            )
            for block, (leading, core) in zip(blocks, shapes, strict=True)
        ]
        expected = [loop + shape for shape in self.shapes]
        try:
            results = self.kernel(*arrays, **options)
        except Exception as error:
            raise self._failure(arrays, f"{type(error).__name__}: {error}") from error
        single = len(expected) == 1
        given = [np.asarray(r) for r in ((results,) if single else results)]
        if [result.shape for result in given] != expected:
            got = [result.shape for result in given]
            raise self._failure(arrays, f"it returned {got} instead of {expected}")
        cast = [
            r.astype(t, copy=False) for r, t in zip(given, self.dtypes, strict=True)
        ]
        return cast[0] if single else tuple(cast)

    def _failure(self, arrays: Sequence[np.ndarray], reason: str) -> KernelError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        return KernelError(
            f"the kernel {self.__name__} failed on blocks of shape {shapes}: {reason}"
        )


@contextlib.contextmanager
def scheduler(
    address: str | None = None, *, n_workers: int | None = None
) -> Iterator[Any]:
    """Compute Dask-backed results inside this context on these workers.

    Parameters
    ----------
    address : str, optional
        ``"threads"`` for threads of this process, or the address of a running
        scheduler, such as ``"tcp://10.0.0.5:8786"``. Without one, Dask's own default
        stays: one thread per core, or the client that is already there.
    n_workers : int, optional
        Number of threads; not for a running scheduler, which has its own workers.

    Yields
    ------
    distributed.Client or None
        The connection, where there is one.

    Raises
    ------
    InputError
        If the address is not one, or `n_workers` is not for it.
    MissingDependencyError
        If Dask is not installed.
    TilthError
        If no scheduler answers at the address.

    Examples
    --------
    >>> with scheduler("threads", n_workers=2):
    ...     pass
    """
    if n_workers is not None and n_workers < 1:
        raise InputError(f"n_workers must be at least 1, got {n_workers}")
    if address is None and n_workers is None:
        yield None
        return
    if address is None or address == "threads":
        config = load("dask", "dask").config
        with config.set(scheduler="threads", num_workers=n_workers):
            yield None
        return
    if "://" not in address:
        raise InputError(
            f"no scheduler {address!r}: write 'threads' or the address of a running "
            "one, such as 'tcp://10.0.0.5:8786'"
        )
    if n_workers is not None:
        raise InputError(
            f"the scheduler at {address} has its own workers: leave out n_workers"
        )
    distributed = load("distributed", "dask")
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise TilthError(
            f"no Dask scheduler answers at {address}: start one with 'dask scheduler', "
            f"or check the address ({error})"
        ) from error
    with client:
        yield client
