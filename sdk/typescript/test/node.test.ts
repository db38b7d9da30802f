import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { partsOf } from "../src/folder.js";
import { Client, UnsafePathError } from "../src/index.js";
import { localFile, saveArtifact, saveArtifacts, saveZip, uploadFile } from "../src/node.js";
import { stub, type Answer } from "./stub.js";

async function temporary(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tako-test-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

function file(text: string, digest = createHash("sha256").update(text).digest("hex")): Answer {
  return { raw: text, headers: { ETag: `"${digest}"` } };
}

function list(...names: string[]): Answer {
  return { body: { items: names.map((name) => ({ name, size_bytes: 3, sha256: "", content_type: null })) } };
}

test("names that lead out of a folder", () => {
  assert.deepEqual(partsOf("a/b c/é..txt"), ["a", "b c", "é..txt"]);
  for (const name of ["", ".", "..", "/", "/a", "a/", "a//b", "a/../b", "../a", "a/.", "a\\b", "..\\a", "a\0", "a\nb", "a\x7f", undefined as unknown as string]) {
    assert.throws(() => partsOf(name), UnsafePathError, JSON.stringify(name));
  }
  assert.deepEqual(partsOf("C:a", false), ["C:a"]);
  for (const name of ["C:a", "a.", "a ", "a/b.", "x?"]) assert.throws(() => partsOf(name, true), UnsafePathError);
});

test("a file is saved, in folders that are made for it", async (t) => {
  const folder = join(await temporary(t), "new"), c = new Client((await stub(t, file("abc"))).url);
  assert.equal(await saveArtifact(c, "j", "d/e/a.txt", folder), join(folder, "d/e/a.txt"));
  assert.equal(await readFile(join(folder, "d/e/a.txt"), "utf8"), "abc");
  await saveArtifact(c, "j", "d/e/a.txt", folder, { to: "b" });
  assert.deepEqual((await readdir(folder)).sort(), ["b", "d"]);
  await assert.rejects(saveArtifact(c, "j", "a", folder, { to: "../c" }), UnsafePathError);
});

test("links in the folder are not followed", async (t) => {
  const base = await temporary(t), folder = join(base, "in"), out = join(base, "out");
  await mkdir(folder);
  await mkdir(out);
  await writeFile(join(out, "kept"), "old");
  await symlink(out, join(folder, "d"));
  await symlink(join(out, "kept"), join(folder, "f"));
  const c = new Client((await stub(t, file("abc"))).url);
  await assert.rejects(saveArtifact(c, "j", "d/new", folder), UnsafePathError);
  await saveArtifact(c, "j", "f", folder); // takes the place of the link
  assert.deepEqual([await readdir(out), await readFile(join(out, "kept"), "utf8")], [["kept"], "old"]);
  assert.equal(await readFile(join(folder, "f"), "utf8"), "abc");
});

test("a file that is damaged or cut is not there", async (t) => {
  const folder = await temporary(t);
  const damaged = new Client((await stub(t, file("abc", "0".repeat(64)))).url), cut = new Client((await stub(t, { ...file("abc"), cut: true })).url);
  await writeFile(join(folder, "a"), "old");
  await assert.rejects(saveArtifact(damaged, "j", "a", folder), { kind: "malformed", message: /"a" is damaged/ });
  await assert.rejects(saveArtifact(cut, "j", "a", folder), { kind: "unreachable" });
  assert.deepEqual(await readdir(folder), ["a"]);
  assert.equal(await readFile(join(folder, "a"), "utf8"), "old");
});

test("all files, or none where one leads out or they are too much", async (t) => {
  const folder = await temporary(t);
  assert.deepEqual(await saveArtifacts(new Client((await stub(t, list("a", "d/b"), file("abc"), file("def"))).url), "j", folder), [join(folder, "a"), join(folder, "d/b")]);
  assert.equal(await readFile(join(folder, "d/b"), "utf8"), "def");
  const other = await temporary(t), s = await stub(t, list("a", "../b"));
  await assert.rejects(saveArtifacts(new Client(s.url), "j", other), UnsafePathError);
  const much = await stub(t, list("a", "b"), file("abc"));
  await assert.rejects(saveArtifacts(new Client(much.url), "j", other, { maxBytes: 5 }), { kind: "invalid", message: /more than 5 bytes/ });
  const longer = new Client((await stub(t, list("a"), file("much longer than it said"))).url);
  await assert.rejects(saveArtifacts(longer, "j", other, { maxBytes: 5 }), { kind: "invalid" });
  assert.deepEqual([await readdir(other), s.seen.length, much.seen.length], [[], 1, 1]);
});

test("all files as an archive", async (t) => {
  const folder = await temporary(t), c = new Client((await stub(t, { raw: "PK" })).url);
  assert.equal(await saveZip(c, "j", join(folder, "all.zip")), join(folder, "all.zip"));
  assert.equal(await readFile(join(folder, "all.zip"), "utf8"), "PK");
  await assert.rejects(saveZip(c, "j", ".."), UnsafePathError);
});

test("files of this machine", async (t) => {
  const folder = await temporary(t), at = join(folder, "local.txt"), s = await stub(t, { body: { upload_id: "u" } }), c = new Client(s.url);
  await writeFile(at, "from here");
  assert.equal((await uploadFile(c, at)).upload_id, "u");
  assert.ok(s.seen[0].body.includes("from here"));
  assert.deepEqual(await localFile(at), { path: "local.txt", data: Buffer.from("from here") });
  assert.equal((await localFile(at, "d/x")).path, "d/x");
  await assert.rejects(uploadFile(c, join(folder, "none")), { code: "ENOENT" });
});
