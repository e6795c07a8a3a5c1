"""A cache that others cannot write to and that nothing half-done can spoil."""

import json
import logging
import os
import time
from pathlib import Path

import pytest

from codegen.build import Cache, Library, build, open_cache
from codegen.build import module as module_module

DECLARATION = "int answer(void);"
ANSWER = {"answer": "int answer(void) { return 42; }\n"}


@pytest.fixture
def library() -> Library:
    return build(ANSWER, DECLARATION)


def rebuild(monkeypatch: pytest.MonkeyPatch) -> Library:
    """Build as another process would: without what this one has loaded already."""
    monkeypatch.setattr(module_module, "_loaded", {})
    return build(ANSWER, DECLARATION)


def spoil(path: Path, content: bytes) -> None:
    # A new file in place of the old: this process still runs the code of the old one.
    path.unlink()
    path.write_bytes(content)


def test_what_is_whole_is_loaded(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    again = rebuild(monkeypatch)
    assert not again.compiled
    assert again.lib.answer() == 42


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_object_is_rebuilt(
    kept: float, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = library.path.read_bytes()
    spoil(library.path, content[: int(kept * len(content))])
    again = rebuild(monkeypatch)
    assert again.compiled
    assert again.lib.answer() == 42
    assert library.path.read_bytes() == content


def test_one_flipped_bit_is_enough(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(library.path.read_bytes())
    content[len(content) // 2] ^= 1
    spoil(library.path, bytes(content))
    assert rebuild(monkeypatch).compiled


def test_garbage_is_never_loaded(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(library.path, os.urandom(4096))
    again = rebuild(monkeypatch)
    assert again.compiled
    assert again.lib.answer() == 42


@pytest.mark.parametrize(
    "index",
    [b"", b"garbage", b"\xff", b"[]", b"{}", b'{"digest": 1, "binding": 2}', b'{"digest": "/"'],
)
def test_a_garbage_index_is_rebuilt(
    index: bytes, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(library.source / "library.json", index)
    again = rebuild(monkeypatch)
    assert again.compiled
    assert again.lib.answer() == 42


def test_another_binding_in_the_index_is_not_believed(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = library.source / "library.json"
    index = json.loads(path.read_text())
    spoil(path, json.dumps(index | {"binding": "ffi = None"}).encode())
    assert rebuild(monkeypatch).compiled


def test_a_missing_index_is_rebuilt(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    (library.source / "library.json").unlink()
    assert rebuild(monkeypatch).compiled


def test_a_missing_object_is_rebuilt(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.path.unlink()
    assert rebuild(monkeypatch).compiled


def test_a_new_cache_is_private(tmp_path: Path) -> None:
    root = open_cache(tmp_path / "a" / "b").root
    assert root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702, 0o1777])
def test_a_folder_others_may_write_to_is_not_used(
    mode: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(mode)
    with caplog.at_level(logging.WARNING, logger="graphcnn"):
        library = build(ANSWER, DECLARATION, cache=open_cache(open_to_all))
    assert library.lib.answer() == 42
    assert not library.path.is_relative_to(open_to_all)
    assert list(open_to_all.iterdir()) == []
    assert str(open_to_all) in caplog.text
    assert "others may write" in caplog.text


def test_a_folder_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: theirs.stat().st_uid + 1)
    assert open_cache(theirs).root != theirs
    assert "belongs to user" in caplog.text


def test_a_folder_that_cannot_be_made_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    cache = open_cache(tmp_path / "file" / "cache")
    assert build(ANSWER, DECLARATION, cache=cache).lib.answer() == 42
    assert str(tmp_path / "file" / "cache") in caplog.text


def test_one_is_warned_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert open_cache(tmp_path / "open") == open_cache(tmp_path / "open")
    assert len(caplog.records) == 1


def test_the_variable_names_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHCNN_CACHE_DIR", str(tmp_path / "chosen"))
    assert open_cache().root == tmp_path / "chosen"


def test_without_the_variable_the_users_cache_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRAPHCNN_CACHE_DIR")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "home" / name)
    assert open_cache().root == tmp_path / "home" / "graphcnn"


def test_old_unfinished_files_are_swept_and_new_ones_left(cache: Cache, library: Library) -> None:
    old, new = (library.source / f".unfinished-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.touch()
    week_ago = time.time() - 7 * 24 * 60 * 60
    os.utime(old, (week_ago, week_ago))
    build({"other": "int other(void) { return 1; }\n"}, "int other(void);")
    assert not old.exists()
    assert new.exists()


def test_a_report_counts_and_clearing_leaves_what_is_not_ours(cache: Cache) -> None:
    build(ANSWER, DECLARATION)
    build(ANSWER, DECLARATION, profile="debug")
    (cache.root / "letter.txt").write_text("not ours")
    report = cache.report()
    assert report.path == cache.root
    assert report.entries == 2
    assert report.bytes == sum(p.stat().st_size for p in cache.root.rglob("*") if p.is_file())
    cache.clear()
    assert [path.name for path in cache.root.iterdir()] == ["letter.txt"]
    assert cache.report().entries == 0
