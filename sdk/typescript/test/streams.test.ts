import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { frames, type Frame } from "../src/events.js";

const file = new URL("../../../../test/vectors/streams.json", import.meta.url);

for (const x of JSON.parse(readFileSync(file, "utf8")) as { name: string; bytes_base64: string; cuts: number[]; frames: Frame[] }[]) {
  test(x.name, async () => {
    const all = Buffer.from(x.bytes_base64, "base64");
    async function* pieces() {
      let from = 0;
      for (const to of [...x.cuts, all.length]) { yield all.subarray(from, to); from = to; }
    }
    const got: Frame[] = [];
    for await (const f of frames(pieces())) got.push(f);
    assert.deepEqual(got, x.frames);
  });
}
