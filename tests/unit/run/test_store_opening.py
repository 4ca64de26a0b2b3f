"""Which layers --store names."""

from pathlib import Path

import pytest

from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.store.folder import FolderLayer
from vllm_forge.run.store.opening import VARIABLE, open_layer, open_store


def say_nothing(_message: str) -> None: ...


@pytest.mark.parametrize(
    ("word", "folder", "writable"),
    [
        ("/mnt/team", "/mnt/team", True),
        ("/mnt/team?mode=ro", "/mnt/team", False),
        ("file:///mnt/team?mode=rw", "/mnt/team", True),
    ],
)
def test_folders(word: str, folder: str, *, writable: bool) -> None:
    layer = open_layer(word)
    assert isinstance(layer, FolderLayer)
    assert (layer.folder, layer.writable) == (Path(folder), writable)


@pytest.mark.parametrize("word", ["/mnt/team?mode=new", "gopher://host/x"])
def test_what_is_no_store(word: str) -> None:
    with pytest.raises(Problem) as raised:
        open_layer(word)
    assert raised.value.exit_code is ExitCode.USAGE
    assert word in raised.value.message


@pytest.mark.parametrize(
    ("named", "variable", "labels"),
    [
        (None, "", ["home"]),
        (None, "/a /b", ["home", "/a", "/b"]),
        ("/c", "/a", ["home", "/c"]),
        ("none", "/a", []),
        ("", "none", ["home"]),
    ],
)
def test_an_option_outdoes_the_variable(
    named: str | None, variable: str, labels: list[str], tmp_path: Path
) -> None:
    home = Home(tmp_path)
    store = open_store(home, named, {VARIABLE: variable}, note=say_nothing, only_folders=False)
    expected = [str(home.store) if one == "home" else one for one in labels]
    assert [layer.label for layer in store.layers] == expected


def test_offline_leaves_urls_out(tmp_path: Path) -> None:
    words = f"{tmp_path}/a https://host/cache"
    store = open_store(Home(tmp_path), words, {}, note=say_nothing, only_folders=True)
    assert [layer.label for layer in store.layers] == [
        str(tmp_path / "store"),
        str(tmp_path / "a"),
    ]
