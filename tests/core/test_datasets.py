import functools
import hashlib
import http.server
import os
import threading

import pytest

from tilth.core import datasets
from tilth.core.datasets import DataFile, DatasetInfo
from tilth.core.errors import DatasetError

NAMES = [
    "ahccd-canesm2",
    "cama-mozambique",
    "camels-four-basins",
    "carbdown-fleet-greenhouse",
    "carbdown-fleet-xxl",
    "carbdown-greenhouse",
    "carbdown-greenhouse-workbook",
    "carbdown-xxl",
    "celia-infiltration",
    "era5-canadian-cities",
    "est-noise-examples",
    "fluxbot",
    "fluxbot-completeness",
    "fluxible-reference",
    "fluxnet-sites",
    "gasfluxes-reference",
    "germany-stations",
    "goflux-reference",
    "iberia-winters",
    "licor-examples",
    "load-love-numbers",
    "loading-references",
    "mchl-reflections",
    "mizoguchi-freezing",
    "noahmp-bondville",
    "nwm-routelink",
    "pattern-reference",
    "photogea-ball-berry",
    "plumber2-scores",
    "rapid-five-reaches",
    "reflection-records",
    "rinex-examples",
    "rmm1-hindcasts",
    "station-positions",
    "tumbarumba-spot",
    "vic-findley",
    "vic-stehekin",
]
#: Datasets whose folder holds files of others too.
SHARED_FOLDERS = {
    "fluxbot-completeness",
    "load-love-numbers",
    "loading-references",
    "photogea-ball-berry",
    "tumbarumba-spot",
}
CONTENTS = {"raw.81x": b"Obs#:\t1\n", "table.csv": b"closure,co2\na,420\n"}


def registered(base_url, without_url=()):
    """A dataset of two tiny files, published at an address."""
    files = tuple(
        DataFile(
            path,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            url=None if path in without_url else f"{base_url}/{path}",
        )
        for path, content in CONTENTS.items()
    )
    return DatasetInfo(
        name="tiny",
        title="Two tiny files",
        folder="chambers/tiny",
        licence="CC0-1.0",
        redistribution="Free.",
        citation="Nobody (2026)",
        homepage="https://example.org/tiny",
        obtained="Write them by hand.",
        files=files,
    )


class Server:
    """Files on a local address; counts what is asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.asked = []
        asked = self.asked

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                super().do_GET()

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
        )
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(
            target=self.http.serve_forever, args=(0.01,), daemon=True
        )
        self.thread.start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "published"
    write_all(folder)
    running = Server(folder)
    yield running
    running.stop()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, no TILTH_DATA and no proxy."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TILTH_CACHE", str(folder))
    monkeypatch.delenv("TILTH_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder / "chambers" / "tiny"


@pytest.fixture
def register(monkeypatch):
    def use(dataset):
        monkeypatch.setattr(datasets, "_registry", lambda: {dataset.name: dataset})

    return use


def write_all(folder, **replaced):
    folder.mkdir(parents=True)
    for path, content in CONTENTS.items():
        (folder / path).write_bytes(replaced.get(path.partition(".")[0], content))


def every_file(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_every_registered_dataset_states_its_terms_and_how_to_get_it():
    assert datasets.names() == NAMES
    for name in NAMES:
        about = datasets.info(name)
        for text in (about.title, about.licence, about.redistribution, about.citation):
            assert text
            assert "\n" not in text
        assert "TILTH_DATA" in about.obtained
        assert about.folder.split("/")[0] in (
            "chambers",
            "fleet",
            "forcing",
            "gnss",
            "land",
            "rivers",
            "stomata",
        )
        assert about.files


def test_a_registered_address_pins_a_commit_and_has_a_checksum():
    for name in NAMES:
        for file in datasets.info(name).files:
            if file.url:
                commit = file.url.split("/")[5]
                assert len(commit) == 40
                assert set(commit) <= set("0123456789abcdef")
                assert file.sha256
            else:
                assert file.note, f"{name}: {file.path} has neither address nor note"
            if file.sha256:
                assert len(file.sha256) == 64
                assert file.size


def test_data_without_a_licence_say_so():
    fluxbot = datasets.info("fluxbot")
    assert fluxbot.licence == "none declared"
    assert "do not pass on" in fluxbot.redistribution


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", [n for n in NAMES if n != "carbdown-greenhouse-workbook"]
)
def test_the_real_files_are_those_registered(dataset, name):
    folder = dataset(name)
    assert datasets.verify(name) == folder
    listed = sorted(f.path for f in datasets.info(name).files)
    found = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    )
    if name in SHARED_FOLDERS:
        found = [path for path in found if path in listed]
    assert found == listed


def test_an_unknown_name_is_answered_with_the_nearest_one():
    with pytest.raises(DatasetError, match="did you mean licor-examples"):
        datasets.info("licor-example")


def test_a_dataset_is_downloaded_once_and_then_taken_from_the_cache(
    server, cache, register
):
    register(registered(server.url))
    assert datasets.locate("tiny") == cache
    assert every_file(cache) == sorted(CONTENTS)
    assert (cache / "raw.81x").read_bytes() == CONTENTS["raw.81x"]
    assert len(server.asked) == 2
    assert datasets.locate("tiny") == cache
    assert datasets.fetch("tiny") == cache
    assert datasets.verify("tiny") == cache
    assert len(server.asked) == 2


def test_a_corrupted_download_is_refused_and_nothing_is_left(server, cache, register):
    register(registered(server.url))
    (server.folder / "raw.81x").write_bytes(b"Obs#:\t2\n")
    with pytest.raises(DatasetError, match="another SHA-256") as caught:
        datasets.locate("tiny")
    assert "\n" not in str(caught.value)
    assert server.url in str(caught.value)
    assert every_file(cache) == []


def test_a_download_cut_short_is_refused_and_nothing_is_left(server, cache, register):
    register(registered(server.url))
    (server.folder / "table.csv").write_bytes(CONTENTS["table.csv"][:5])
    with pytest.raises(DatasetError, match=r"table\.csv of tiny came from"):
        datasets.locate("tiny")
    assert every_file(cache) == ["raw.81x"]
    write_whole = (server.folder / "table.csv").write_bytes
    write_whole(CONTENTS["table.csv"])
    assert datasets.locate("tiny") == cache
    assert server.asked.count("/raw.81x") == 1


def test_a_file_that_is_gone_from_its_address_is_named(server, cache, register):
    register(registered(server.url))
    (server.folder / "raw.81x").unlink()
    with pytest.raises(DatasetError, match="the server answers 404"):
        datasets.locate("tiny")


def test_offline_the_one_line_names_file_licence_and_way_out(server, cache, register):
    register(registered(server.url))
    server.stop()
    with pytest.raises(DatasetError, match="no connection") as caught:
        datasets.locate("tiny")
    text = str(caught.value)
    assert "\n" not in text
    for part in ("raw.81x", "CC0-1.0", "chambers/tiny/raw.81x", "TILTH_DATA"):
        assert part in text
    assert every_file(cache) == []


def test_without_download_nothing_is_asked_for(server, cache, register):
    register(registered(server.url))
    with pytest.raises(DatasetError, match="not at hand") as caught:
        datasets.locate("tiny", download=False)
    text = str(caught.value)
    for part in ("raw.81x and 1 more file", "CC0-1.0", "by hand", "not set"):
        assert part in text
    assert server.asked == []


def test_a_dataset_with_a_derived_file_is_not_half_downloaded(server, cache, register):
    register(registered(server.url, without_url=["table.csv"]))
    with pytest.raises(DatasetError, match=r"no chambers/tiny/raw\.81x"):
        datasets.locate("tiny")
    assert server.asked == []


def test_fetching_gets_what_is_published_and_names_the_rest(server, cache, register):
    register(registered(server.url, without_url=["table.csv"]))
    with pytest.raises(DatasetError, match=r"no chambers/tiny/table\.csv in"):
        datasets.fetch("tiny")
    assert every_file(cache) == ["raw.81x"]
    (cache / "table.csv").write_bytes(CONTENTS["table.csv"])
    assert datasets.fetch("tiny") == cache


def test_the_folders_of_tilth_data_come_first_and_in_order(
    server, cache, register, tmp_path, monkeypatch
):
    register(registered(server.url))
    roots = [tmp_path / name for name in ("empty", "first", "second")]
    for root in roots[1:]:
        write_all(root / "chambers" / "tiny")
    write_all(cache)
    monkeypatch.setenv("TILTH_DATA", os.pathsep.join(map(str, roots)))
    assert datasets.locate("tiny") == roots[1] / "chambers" / "tiny"
    (roots[1] / "chambers" / "tiny" / "raw.81x").unlink()
    assert datasets.locate("tiny") == roots[2] / "chambers" / "tiny"
    monkeypatch.setenv("TILTH_DATA", str(roots[0]))
    assert datasets.locate("tiny") == cache
    assert server.asked == []


def test_a_relative_folder_of_tilth_data_gives_an_absolute_path(
    register, cache, tmp_path, monkeypatch
):
    register(registered("http://127.0.0.1:9"))
    write_all(tmp_path / "data" / "chambers" / "tiny")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TILTH_DATA", "../data")
    assert datasets.locate("tiny") == tmp_path / "data" / "chambers" / "tiny"


def test_a_file_of_another_size_in_tilth_data_is_an_error_not_a_fallback(
    server, cache, register, tmp_path, monkeypatch
):
    register(registered(server.url))
    write_all(tmp_path / "mine" / "chambers" / "tiny", raw=b"cut")
    write_all(cache)
    monkeypatch.setenv("TILTH_DATA", str(tmp_path / "mine"))
    with pytest.raises(DatasetError, match="3 bytes, tiny is registered with 8"):
        datasets.locate("tiny")


def test_a_file_of_the_right_size_and_the_wrong_content_is_found_by_verify(
    server, cache, register, tmp_path, monkeypatch
):
    register(registered(server.url))
    write_all(tmp_path / "mine" / "chambers" / "tiny", raw=b"Obs#:\t9\n")
    monkeypatch.setenv("TILTH_DATA", str(tmp_path / "mine"))
    assert datasets.locate("tiny")
    with pytest.raises(DatasetError, match="is not what was registered"):
        datasets.verify("tiny")
    with pytest.raises(DatasetError, match="is not what was registered"):
        datasets.fetch("tiny")


def test_a_damaged_file_in_the_cache_is_fetched_again(server, cache, register):
    register(registered(server.url))
    write_all(cache, raw=b"cut", table=b"closure,co2\na,421\n")
    assert datasets.fetch("tiny") == cache
    assert (cache / "raw.81x").read_bytes() == CONTENTS["raw.81x"]
    assert (cache / "table.csv").read_bytes() == CONTENTS["table.csv"]


def test_a_cache_that_cannot_be_written_is_named(
    server, register, tmp_path, monkeypatch
):
    register(registered(server.url))
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "file"))
    monkeypatch.delenv("TILTH_DATA", raising=False)
    with pytest.raises(DatasetError, match="set TILTH_CACHE to a folder you own"):
        datasets.locate("tiny")


def test_what_has_no_checksum_is_located_but_never_called_verified(
    cache, register, tmp_path
):
    workbook = DataFile("book.xlsx", note="as published")
    tiny = registered("http://127.0.0.1:9")
    register(DatasetInfo(**{**vars(tiny), "files": (workbook,)}))
    with pytest.raises(DatasetError, match="not at hand"):
        datasets.locate("tiny")
    cache.mkdir(parents=True)
    (cache / "book.xlsx").write_bytes(b"abc")
    assert datasets.locate("tiny") == cache
    with pytest.raises(DatasetError, match=r"no checksum is registered.*ba7816bf"):
        datasets.verify("tiny")


def test_the_size_of_a_dataset_is_that_of_its_files(register):
    assert registered("http://127.0.0.1:9").size == sum(map(len, CONTENTS.values()))
