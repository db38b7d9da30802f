// What a server, or somebody beside this process, may try with the files that are saved.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readdir, realpath, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { create, partsOf } from "../src/folder.js";
import { Client, UnsafePathError } from "../src/index.js";
import { saveArtifact, saveArtifacts, saveZip } from "../src/node.js";
import { close, listen, stub, type Answer } from "./stub.js";

async function temporary(t: TestContext): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "tako-test-")));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

function list(...items: unknown[]): Answer { return { body: { items } }; }
async function* text(content: string) { yield Buffer.from(content); }

test("sizes that are none", async (t) => {
  const folder = await temporary(t);
  for (const size_bytes of [-(10 ** 9), "5", 1.5, 1e300, null, undefined, NaN]) {
    const s = await stub(t, list({ name: "a", size_bytes }, { name: "b", size_bytes: 3 }), { raw: "x".repeat(1000) });
    await assert.rejects(saveArtifacts(new Client(s.url), "j", folder, { maxBytes: 10 }), { kind: "malformed", message: /size_bytes/ }, String(size_bytes));
    assert.equal(s.seen.length, 1);
  }
  await assert.rejects(saveArtifacts(new Client((await stub(t, { body: { items: 3 } })).url), "j", folder), { kind: "malformed" });
  assert.deepEqual(await readdir(folder), []);
});

test("what is read counts, and not what was said", async (t) => {
  const folder = await temporary(t), s = await stub(t, list({ name: "a", size_bytes: 1 }, { name: "b", size_bytes: 1 }), { raw: "123456" });
  await assert.rejects(saveArtifacts(new Client(s.url), "j", folder, { maxBytes: 10 }), { kind: "invalid", message: /more than 10 bytes: see maxBytes/ });
  assert.deepEqual(await readdir(folder), ["a"]);
});

test("one file and an archive are bounded", async (t) => {
  const folder = await temporary(t), c = new Client((await stub(t, { raw: "123456" })).url);
  await assert.rejects(saveArtifact(c, "j", "a", folder, { maxBytes: 5 }), { kind: "invalid", message: '"a" of j is more than 5 bytes: see maxBytes' });
  await assert.rejects(saveZip(c, "j", join(folder, "z"), { maxBytes: 5 }), { kind: "invalid", message: /^the archive of j is more than 5 bytes/ });
  for (const maxBytes of [NaN, -1, "5" as unknown as number]) {
    await assert.rejects(saveArtifact(c, "j", "a", folder, { maxBytes }), { kind: "invalid", message: /^maxBytes must be a number/ });
  }
  assert.deepEqual(await readdir(folder), []);
  await saveArtifact(c, "j", "a", folder, { maxBytes: 6 });
});

test("a file without an end ends", async (t) => {
  const folder = await temporary(t), piece = new Uint8Array(2 ** 24);
  const endless = () => new Response(new ReadableStream({ pull(to) { to.enqueue(piece); } }));
  const c = new Client("http://x", { fetch: async () => endless() });
  await assert.rejects(saveArtifact(c, "j", "a", folder, { maxBytes: 2 ** 25 }), { kind: "invalid" });
  assert.deepEqual(await readdir(folder), []);
});

test("names of devices, and half a character", () => {
  const names = ["NUL", "con.txt", "a/COM1", "Lpt9 .log", "aux", "conin$", "com\u00b9", "lpt0.a.b"];
  for (const name of names) {
    assert.deepEqual(partsOf(name, false), name.split("/"));
    assert.throws(() => partsOf(name, true), UnsafePathError, name);
  }
  assert.deepEqual(partsOf("console/com10/nul1", true), ["console", "com10", "nul1"]);
  assert.throws(() => partsOf("\ud800"), UnsafePathError);
});

test("what is a file and a folder", async (t) => {
  const folder = await temporary(t), size_bytes = 1;
  const s = await stub(t, list({ name: "a/b", size_bytes }, { name: "a", size_bytes }), { raw: "x" });
  await assert.rejects(saveArtifacts(new Client(s.url), "j", folder), { name: "UnsafePathError", message: '"a" of "a/b" is a file, too' });
  assert.deepEqual([await readdir(folder), s.seen.length], [[], 1]);
  await mkdir(join(folder, "d"));
  await writeFile(join(folder, "f"), "old");
  for (const held of [true, false]) {
    await assert.rejects(create(folder, "f/x", text("new"), held), { name: "UnsafePathError", message: '"f" of "f/x" is a file that is in the folder already' });
    await assert.rejects(create(folder, "d", text("new"), held), { name: "UnsafePathError", message: '"d" of "d" is a folder that is in the folder already' });
    await create(folder, "f", text("new"), held);
  }
  assert.deepEqual([(await readdir(folder)).sort(), await readdir(join(folder, "d")), await readFile(join(folder, "f"), "utf8")], [["d", "f"], [], "new"]);
});

// Somebody puts a link into the place of a folder while a file is written, and at its end the unfinished file's name.
for (const held of [process.platform === "linux", false]) {
  test(`a link that comes meanwhile, ${held ? "where folders are held" : "where they are not"}`, async (t) => {
    const base = await temporary(t), folder = join(base, "in"), out = join(base, "out");
    await mkdir(out);
    await writeFile(join(out, "kept"), "old");
    async function* meanwhile() {
      yield Buffer.from("new");
      const [unfinished] = await readdir(join(folder, "d"));
      await rename(join(folder, "d"), join(folder, "moved"));
      await symlink(out, join(folder, "d"));
      await writeFile(join(out, unfinished), "of another");
      yield Buffer.from("est");
    }
    await assert.rejects(create(folder, "d/kept", meanwhile(), held), { name: "UnsafePathError", message: /was moved while/ });
    assert.equal(await readFile(join(out, "kept"), "utf8"), "old");
    assert.equal((await readdir(join(folder, "moved"))).length, held ? 0 : 1); // what cannot be named cannot be removed
  });
}

test("links in the folder are not followed, held or not", async (t) => {
  const base = await temporary(t), folder = join(base, "in"), out = join(base, "out");
  await mkdir(folder);
  await mkdir(out);
  await symlink(out, join(folder, "d"));
  for (const held of [true, false]) {
    await assert.rejects(create(folder, "d/a", text("new"), held), { name: "UnsafePathError", message: /is a link that is in the folder already/ });
    assert.equal(await create(folder, "e/f/a", text("new"), held), join(folder, "e/f/a"));
  }
  assert.deepEqual(await readdir(out), []);
});

test("a download that is not wanted is ended", async (t) => {
  const folder = await temporary(t);
  await mkdir(join(folder, "a"));
  let hungUp = () => {};
  const gone = new Promise<void>((done) => { hungUp = done; });
  const server = createServer((_, w) => { w.on("close", hungUp).write("x"); });
  t.after(() => close(server));
  await assert.rejects(saveArtifact(new Client(await listen(server)), "j", "a", folder), UnsafePathError);
  await gone;
});
