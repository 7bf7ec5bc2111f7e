import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, KernelError, TilthError
from tilth.core.parallel import apply_kernel, scheduler


def line_fit(elapsed, co2, *, shift=0.0):
    """Slope and residuals of straight lines, row by row along the last axis."""
    t = elapsed - elapsed.mean(axis=-1, keepdims=True)
    c = co2 + shift
    slope = (t * c).sum(axis=-1) / (t * t).sum(axis=-1)
    residual = c - c.mean(axis=-1, keepdims=True) - slope[..., np.newaxis] * t
    return slope, residual


def failing(co2):
    if (co2 < 0).any():
        raise ValueError("co2 below zero in row 3")
    return co2.sum(axis=-1)


@pytest.fixture
def closures():
    """Noisy closures whose sums depend on the order of summation."""
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            "co2": (("closure", "sample"), rng.normal(420, 50, (37, 61))),
            "elapsed": ("sample", np.arange(61.0) * 3),
        },
        coords={"closure": [f"obs {i}" for i in range(37)]},
    )


def fit(closures, **options):
    return apply_kernel(
        line_fit,
        closures["elapsed"],
        closures["co2"],
        core_dims=[["sample"], ["sample"]],
        output_dims=[[], ["sample"]],
        output_dtypes=[float, float],
        options=options,
    )


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # any free port: tests run side by side
    ) as local:
        yield local.scheduler_address


def test_the_result_is_what_the_kernel_gives_row_by_row(closures):
    slope, residual = fit(closures)
    expected = [np.polyfit(closures["elapsed"], row, 1)[0] for row in closures["co2"]]
    np.testing.assert_allclose(slope, expected, rtol=1e-9)
    assert slope.dims == ("closure",)
    assert residual.dims == ("closure", "sample")
    assert residual["closure"].values.tolist() == closures["closure"].values.tolist()
    np.testing.assert_allclose(residual.sum("sample"), 0, atol=1e-9)


@pytest.mark.parametrize("chunks", [{"closure": 5}, {"closure": 8, "sample": 7}])
def test_memory_threads_and_a_cluster_agree_to_the_last_bit(closures, cluster, chunks):
    expected = fit(closures, shift=0.125)
    lazy = fit(closures.chunk(chunks), shift=0.125)
    assert lazy[0].chunks is not None
    with scheduler("threads", n_workers=2):
        threaded = [result.compute() for result in lazy]
    with scheduler(cluster) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        distributed = [result.compute() for result in lazy]
    for result in (threaded, distributed):
        for ours, theirs in zip(expected, result, strict=True):
            assert ours.dtype == theirs.dtype
            assert ours.values.tobytes() == theirs.values.tobytes()


def test_the_order_of_axes_in_memory_does_not_change_the_last_bit(closures):
    turned = closures.assign(co2=closures["co2"].transpose("sample", "closure").copy())
    assert fit(turned)[0].values.tobytes() == fit(closures)[0].values.tobytes()


def test_an_array_in_memory_and_one_on_dask_work_together(closures):
    mixed = closures.assign(co2=closures["co2"].chunk(closure=10))
    slope, _ = fit(mixed)
    assert slope.chunks == ((10, 10, 10, 7),)
    assert slope.values.tobytes() == fit(closures)[0].values.tobytes()


def test_loop_dimensions_of_all_arrays_reach_the_kernel():
    gas = xr.DataArray([1.0, 10.0], dims="gas")
    level = xr.DataArray([1.0, 2.0, 3.0], dims="closure")
    seen = []

    def kernel(a, b):
        seen.append((a.shape, b.shape, a.flags.c_contiguous, b.flags.c_contiguous))
        return a * b

    product = apply_kernel(kernel, gas, level, core_dims=[[], []])
    assert seen == [((2, 3), (2, 3), True, True)]
    np.testing.assert_array_equal(product, [[1, 2, 3], [10, 20, 30]])


def test_single_numbers_stay_single_numbers():
    total = apply_kernel(
        lambda a, b: a.sum(axis=-1) + b,
        xr.DataArray([1.0, 2.0], dims="sample"),
        xr.DataArray(5.0),
        core_dims=[["sample"], []],
    )
    assert total.dims == ()
    assert total.item() == 8.0


@pytest.mark.parametrize("chunks", [None, {"closure": 4}])
def test_outputs_can_have_a_new_dimension_and_their_own_type(closures, chunks):
    data = closures.chunk(chunks) if chunks else closures
    quantiles, count = apply_kernel(
        lambda co2: (np.quantile(co2, [0.1, 0.9], axis=-1).T, (co2 > 420).sum(axis=-1)),
        data["co2"],
        core_dims=[["sample"]],
        output_dims=[["quantile"], []],
        output_dtypes=["float32", "int32"],
        output_sizes={"quantile": 2},
    )
    assert quantiles.dtype == np.dtype("float32")
    assert count.dtype == np.dtype("int32")
    assert quantiles.compute().shape == (37, 2)
    assert int(count.sum()) == int((closures["co2"] > 420).sum())


@pytest.mark.parametrize("where", ["memory", "threads", "cluster"])
def test_an_error_in_a_block_names_kernel_block_and_reason(closures, cluster, where):
    co2 = closures["co2"].copy()
    co2[3, 7] = -1.0
    if where != "memory":
        co2 = co2.chunk(closure=8)
    with (
        scheduler(cluster if where == "cluster" else None),
        pytest.raises(
            KernelError,
            match=r"failing failed on blocks of shape \((37|8), 61\): ValueError: "
            "co2 below zero in row 3",
        ),
    ):
        apply_kernel(failing, co2, core_dims=[["sample"]]).compute()


def test_a_kernel_that_returns_another_shape_is_refused(closures):
    with pytest.raises(KernelError, match=r"returned \[\(\)\] instead of \[\(37,\)\]"):
        apply_kernel(np.sum, closures["co2"], core_dims=[["sample"]])


def test_arrays_of_other_coordinates_are_refused_instead_of_joined(closures):
    with pytest.raises(InputError, match="do not have the same coordinates"):
        apply_kernel(np.add, closures["co2"], closures["co2"][5:], core_dims=[[], []])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"core_dims": [["time"]]}, "co2 lacks the dimension time; it has closure"),
        ({"core_dims": [[], []]}, "1 arrays need as many core_dims, got 2"),
        ({"core_dims": [[]], "output_dtypes": [int, int]}, "1 outputs, but 2"),
        ({"core_dims": [[]], "output_dims": [["k"]]}, "output_sizes lacks .* k"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(closures, arguments, message):
    with pytest.raises(InputError, match=message):
        apply_kernel(np.abs, closures["co2"], **arguments)


def test_plain_arrays_are_refused_because_they_have_no_names(closures):
    with pytest.raises(InputError, match="takes DataArrays, got ndarray"):
        apply_kernel(np.abs, closures["co2"].values, core_dims=[[]])


def test_without_an_address_nothing_is_changed():
    dask = pytest.importorskip("dask")
    before = dict(dask.config.config)
    with scheduler() as client:
        assert client is None
        assert dask.config.config == before


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr("tilth.core.parallel.CONNECT_SECONDS", 0.2)
    with (
        pytest.raises(TilthError, match=r"no Dask scheduler answers at tcp://127"),
        scheduler("tcp://127.0.0.1:9"),
    ):
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"address": "localhost"}, "no scheduler 'localhost'"),
        ({"address": "tcp://127.0.0.1:9", "n_workers": 2}, "has its own workers"),
        ({"address": "threads", "n_workers": 0}, "at least 1, got 0"),
    ],
)
def test_a_scheduler_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(InputError, match=message), scheduler(**arguments):
        pass
