"""Hostile archives, files without an end, and a cache directory of somebody else."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

from tako_vm import MalformedResponseError, TakoVMError, UnsafePathError, ValidationError, _child, extract_zip
from tako_vm._plans import files

from .stub import Answer
from .test_files import FilesCase, zipped


class Files(FilesCase):
    def test_endless(self) -> None:
        a = Answer(200, b"x" * 100_000)
        _, c = self.serve(a, a, a, a)
        with mock.patch.multiple(files, MAX_FILE=50_000, MAX_ZIP=50_000, ROOM=0):
            self.fails(MalformedResponseError, lambda: c.save_artifact("j", "x", self.folder))
            self.fails(MalformedResponseError, lambda: c.save_zip("j", self.folder / "x.zip"))
            self.fails(ValidationError, lambda: c.save_artifacts("j", self.folder, max_bytes=50_000))
            self.fails(MalformedResponseError, lambda: c.download_artifact("j", "x"))
        self.assertEqual(self.files(), [])

    def test_archives(self) -> None:
        both = zipped(("a", b"1"), ("a/b", b"2"))
        folder = zipped(("a", b"1"), ("a/", b""))
        for content in (both, folder):
            self.fails(UnsafePathError, lambda: extract_zip(io.BytesIO(content), self.folder))
        for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", method) as z:
                z.writestr("a", b"0" * 1_000_000)
            self.fails(MalformedResponseError, lambda: extract_zip(out, self.folder))
        named = zipped(("a", b"1"), ("\u00e9", b"2")).replace("\u00e9".encode(), b"\xff\xff")
        self.fails(MalformedResponseError, lambda: extract_zip(io.BytesIO(named), self.folder))
        self.assertEqual(self.files(), [])

    def test_a_list_of_files_that_is_too_long(self) -> None:
        one = zipped(("a", b""))
        at = one.index(b"PK\1\2")
        entry = one[at : one.index(b"PK\5\6")]
        many = entry * (17 * (1 << 20) // len(entry))
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(many), at, 0)
        e = self.fails(MalformedResponseError, lambda: extract_zip(io.BytesIO(one[:at] + many + end), self.folder))
        self.assertIn("list of files is too long", str(e))

    def test_any_damage(self) -> None:
        whole = zipped(("a", b"1" * 50), ("d/e", b"2" * 50), ("\u00e9", b""))
        for at in range(len(whole)):
            for value in (0, 0x7F, 0xFF, whole[at] ^ 1):
                damaged = whole[:at] + bytes([value]) + whole[at + 1 :]
                try:
                    extract_zip(io.BytesIO(damaged), self.folder / f"{at}-{value}")
                except TakoVMError:
                    pass


class Environment(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        patch = mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(self.folder)})
        patch.start()
        self.addCleanup(patch.stop)

    def slot(self) -> Path:
        slot, lock = _child._slot()
        assert lock is not None
        os.close(lock)
        return slot

    def test_a_cache_that_others_write(self) -> None:
        for umask in (0, 0o777 - 0o700):
            before = os.umask(umask)
            try:
                self.assertEqual(self.slot().stat().st_mode & 0o777, 0o700)
            finally:
                os.umask(before)
        base = self.folder / "tako-vm"
        base.chmod(0o770)
        with self.assertRaisesRegex(RuntimeError, "others may write there; name another"):
            self.slot()
        base.chmod(0o755)
        self.slot()
        self.folder.chmod(0o777)
        with self.assertRaisesRegex(RuntimeError, "others may write there"):
            self.slot()

    def test_a_cache_of_another(self) -> None:
        self.slot()
        with mock.patch("tako_vm._child.os.geteuid", return_value=os.geteuid() + 1):
            with self.assertRaisesRegex(RuntimeError, "another user's"):
                self.slot()

    def test_links_are_not_kept(self) -> None:
        link = self.folder / "link"
        link.symlink_to(self.folder)
        with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(link)}):
            self.assertEqual(self.slot(), self.folder / "tako-vm/0")

    def test_files_are_private_and_new(self) -> None:
        mine = self.folder / "mine"
        mine.write_text("mine")
        (self.folder / "0.yaml").symlink_to(mine)
        os.close(_child._private(self.folder / "0.yaml"))
        self.assertEqual(mine.read_text(), "mine")
        self.assertEqual((self.folder / "0.yaml").stat().st_mode & 0o777, 0o600)

    def test_a_proxy_is_not_told_the_key(self) -> None:
        fake = self.folder / "tako"
        fake.write_text("#!/bin/sh\necho 'tako: listening on http://127.0.0.1:1' >&2\nexec sleep 60\n")
        fake.chmod(0o700)
        named = {"TAKO_BINARY": str(fake), "HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
        with mock.patch.dict(os.environ, named):
            child = _child.Child({"package_index_url": "https://u:secret@host/simple"})
            self.addCleanup(child.stop)
            self.assertFalse(child.client._http.trust_env)
            config = child._slot.with_suffix(".yaml")
            self.assertEqual(config.stat().st_mode & 0o777, 0o600)
            shown = Path(f"/proc/{child._process.pid}/cmdline").read_bytes()
            self.assertNotIn(b"secret", shown)
            self.assertNotIn(child.client._wire.headers["Authorization"].split()[1].encode(), shown)


if __name__ == "__main__":
    unittest.main()
