"""A page's files: exactly those of its folder, zipped for who takes it, asked for again each time."""

import base64
import gzip
from pathlib import Path

import pytest

from settlement.static_files import CONTENT_TYPES, StaticFiles, takes_gzip


@pytest.fixture
def files(tmp_path: Path) -> StaticFiles:
    folder = tmp_path / "static"
    (folder / "lang").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>中</title>", encoding="utf-8")
    (folder / "lang" / "en.js").write_text("export default {};\n", encoding="utf-8")
    (folder / "notes.txt").write_text("not served", encoding="utf-8")
    (tmp_path / "app.py").write_text("secret = 1", encoding="utf-8")
    return StaticFiles.of(folder)


def test_a_file_is_answered_with_its_type_and_its_text(files: StaticFiles) -> None:
    answer = files.answer("index.html", {})
    assert answer is not None
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert answer["body"] == "<!doctype html><title>中</title>"
    assert answer["headers"]["Content-Type"] == "text/html; charset=utf-8"
    assert answer["headers"]["Cache-Control"] == "no-cache"
    nested = files.answer("lang/en.js", {})
    assert nested is not None
    assert nested["headers"]["Content-Type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize(
    "name",
    ["", "/index.html", "../app.py", "lang/../index.html", "./index.html", "notes.txt", "lang", "lang/", "INDEX.HTML",
     "index.html/", "index.html\x00", "%69ndex.html", "lang//en.js", "..%2fapp.py"],
)  # fmt: skip
def test_nothing_else_is_there(files: StaticFiles, name: str) -> None:
    assert files.answer(name, {}) is None


def test_who_takes_gzip_gets_it_and_the_same_bytes_each_time(files: StaticFiles) -> None:
    headers = {"accept-encoding": "gzip, deflate, br", "accept": "*/*"}
    answer, again = files.answer("index.html", headers), files.answer("index.html", headers)
    assert answer is not None
    assert answer == again
    assert answer["headers"]["Content-Encoding"] == "gzip"
    assert answer["headers"]["Vary"] == "Accept-Encoding"
    assert answer["isBase64Encoded"]
    assert gzip.decompress(base64.b64decode(answer["body"])).decode() == "<!doctype html><title>中</title>"


@pytest.mark.parametrize(
    ("accepts", "takes"),
    [
        ("", False), ("identity", False), ("br", False), ("gzip", True), ("GZIP", True), ("br, gzip;q=0.5", True),
        ("gzip;q=1.0", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("x-gzip", False), ("gzip;q=0.001", True),
    ],
)  # fmt: skip
def test_gzip_is_taken_where_it_is_named_and_not_refused(accepts: str, takes: bool) -> None:
    assert takes_gzip(accepts) is takes


def test_a_copy_that_is_the_newest_is_not_sent_again(files: StaticFiles) -> None:
    first = files.answer("index.html", {})
    assert first is not None
    tag = first["headers"]["ETag"]
    for asked in (tag, f'"other", {tag}'):
        again = files.answer("index.html", {"if-none-match": asked, "accept-encoding": "gzip", "accept": "*/*"})
        assert again is not None
        assert (again["statusCode"], again["body"], again["headers"]["ETag"]) == (304, "", tag)
    other = files.answer("lang/en.js", {"if-none-match": tag})
    assert other is not None
    assert other["statusCode"] == 200


def test_every_file_of_the_console_is_one_that_is_served() -> None:
    folder = Path(__file__).parents[2] / "functions" / "console" / "static"
    served = StaticFiles.of(folder).files
    assert set(served) == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert "index.html" in served
    assert {Path(name).suffix for name in served} <= CONTENT_TYPES.keys()
