"""Files in and out; nothing is written outside of the folder that was given."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
import zipfile
from pathlib import Path
from typing import Dict, List, Tuple, Union

from tako_vm import InputFile, JobOptions, MalformedResponseError, TransportError, UnsafePathError, ValidationError, extract_zip
from tako_vm._folder import parts_of

from .stub import Answer, StubCase

BAD = ["", ".", "..", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a/.", "..\\x", "C:\\x", "a\nb", "a\0b", "\x7f"]


def digest(content: bytes) -> Dict[str, str]:
    return {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'}


def zipped(*entries: Tuple[Union[str, zipfile.ZipInfo], bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in entries:
            z.writestr(name, content)
    return out.getvalue()


class FilesCase(StubCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.base = Path(folder.name)
        self.folder = self.base / "inside"

    def files(self) -> List[str]:
        return sorted(p.relative_to(self.base).as_posix() for p in self.base.rglob("*") if not p.is_dir())


class Out(FilesCase):
    def test_into_the_folder(self) -> None:
        stub, c = self.serve(Answer(200, b"abc", digest(b"abc")), Answer(200, b"abc"), Answer(200, b"abc"))
        at = c.save_artifact("j", "d/\u00e9 ?.txt", self.folder)
        self.assertEqual((at, at.read_bytes()), (self.folder / "d/\u00e9 ?.txt", b"abc"))
        self.assertEqual(stub.seen[0].path, "/jobs/j/artifacts/d/%C3%A9%20%3F.txt")
        self.assertEqual(c.save_artifact("j", "x", self.folder, to="y"), self.folder / "y")
        self.assertEqual(c.download_artifact("j", "x"), b"abc")

    def test_names_that_lead_out(self) -> None:
        stub, c = self.serve()
        for name in BAD:
            with self.subTest(name):
                self.fails(UnsafePathError, lambda: c.save_artifact("j", name, self.folder))
                self.fails(UnsafePathError, lambda: c.save_artifact("j", "x", self.folder, to=name))
                self.fails(UnsafePathError, lambda: c.download_artifact("j", name))
                self.fails(UnsafePathError, lambda: parts_of(name))
        self.assertEqual((stub.seen, self.files()), ([], []))

    def test_links_that_lead_out(self) -> None:
        outside = self.base / "outside"
        outside.mkdir()
        self.folder.mkdir()
        (outside / "file").write_text("mine")
        (self.folder / "d").symlink_to(outside)
        (self.folder / "f").symlink_to(outside / "file")
        _, c = self.serve(*[Answer(200, b"abc")] * 3)
        self.fails(UnsafePathError, lambda: c.save_artifact("j", "d/x", self.folder))
        self.assertEqual(c.save_artifact("j", "f", self.folder).read_bytes(), b"abc")  # in the link's place
        self.assertEqual((outside / "file").read_text(), "mine")
        self.assertEqual(os.listdir(outside), ["file"])

    def test_what_breaks_off_or_is_damaged_is_not_there(self) -> None:
        cut = Answer(200, b"abc", hang_up=True)
        _, c = self.serve(cut, Answer(200, b"abc", digest(b"abd")), Answer(200, b"abc", digest(b"abd")), cut)
        self.assertEqual(self.fails(TransportError, lambda: c.save_artifact("j", "x", self.folder)).correlation_id, "of-the-server")
        self.fails(MalformedResponseError, lambda: c.save_artifact("j", "x", self.folder))
        self.fails(MalformedResponseError, lambda: c.download_artifact("j", "x"))
        self.fails(TransportError, lambda: c.save_zip("j", self.folder / "all.zip"))
        self.assertEqual(self.files(), [])

    def test_archives(self) -> None:
        content = zipped(("a", b"1"), ("d/", b""), ("d/e/b", b"2"))
        _, c = self.serve(Answer(200, content), Answer(200, content))
        self.assertEqual(c.save_artifacts("j", self.folder), [self.folder / "a", self.folder / "d/e/b"])
        self.assertEqual(self.files(), ["inside/a", "inside/d/e/b"])
        self.assertEqual(c.save_zip("j", self.base / "all.zip").read_bytes(), content)

    def test_archives_that_escape(self) -> None:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        bad = [zipped(("good", b"1"), (name, b"2")) for name in BAD if name and "\0" not in name and not name.endswith("/")]
        bad += [zipped(("good", b"1"), ("../d/", b"")), zipped(("good", b"1"), (link, b"/etc"))]
        bad.append(zipped(("good", b"1"), ("a\1b", b"2")).replace(b"a\1b", b"a\0b"))
        for content in bad:
            with self.subTest(content[-60:]):
                _, c = self.serve(Answer(200, content))
                e = self.fails(UnsafePathError, lambda: c.save_artifacts("j", self.folder))
                self.assertEqual((e.correlation_id, self.files()), ("of-the-server", []))

    def test_archives_that_are_too_much_or_none(self) -> None:
        bomb = zipped(("a", b"0" * 100_000))
        self.fails(ValidationError, lambda: extract_zip(io.BytesIO(bomb), self.folder, max_bytes=1000))
        for content in (b"", b"<html>", bomb[:50], bomb.replace(b"0", b"1", 1)[:-30]):
            self.fails(MalformedResponseError, lambda: extract_zip(io.BytesIO(content), self.folder))
        self.assertEqual(self.files(), [])


class In(FilesCase):
    def test_local_files_are_a_form(self) -> None:
        file = self.base / "f"
        file.write_bytes(b"\x00\xff")
        stub, c = self.serve(Answer(503, {"detail": "full"}), Answer(200, {"job_id": "j"}))
        c.submit_code("x", options=JobOptions(files=[InputFile("d/f", local=file), InputFile("g", text="t")]))
        for seen in stub.seen:  # the second time, too
            self.assertIn("multipart/form-data", seen.headers["Content-Type"])
            self.assertIn(b'name="file"; filename="d/f"', seen.body)
            self.assertIn(b"\r\n\r\n\x00\xff\r\n", seen.body)
            self.assertIn(b'"files": [{"path": "g", "text": "t"}]', seen.body)

    def test_what_cannot_be_sent(self) -> None:
        _, c = self.serve()
        with self.assertRaises(FileNotFoundError):
            c.submit_code("x", options=JobOptions(files=[InputFile("f", local=self.base / "none")]))
        self.fails(ValidationError, lambda: InputFile('a"b', local="x"))
        self.fails(ValidationError, lambda: c.submit_batch([__import__("tako_vm").JobRequest("x", options=JobOptions(
            files=[InputFile("f", local="x")]))]))

    def test_upload(self) -> None:
        stub, c = self.serve(*[Answer(200, {"upload_id": "u"})] * 3)
        (self.base / "f").write_bytes(b"content")
        for source in (b"content", self.base / "f", io.BytesIO(b"content")):
            self.assertEqual(c.upload(source), {"upload_id": "u"})
            self.assertIn(b"\r\n\r\ncontent\r\n", stub.seen[-1].body)
