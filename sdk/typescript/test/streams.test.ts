import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { frames, type Frame } from "../src/sse.js";

const file = new URL("../../../../test/vectors/streams.json", import.meta.url);

interface Stream { name: string; bytes_base64: string; times?: number; cuts: number[]; frames: Frame[]; error?: string }

for (const x of JSON.parse(readFileSync(file, "utf8")) as Stream[]) {
  test(x.name, async () => {
    const all = Buffer.from(x.bytes_base64, "base64");
    async function* pieces() {
      for (let n = 0; n < (x.times ?? 1); n++) {
        let from = 0;
        for (const to of [...x.cuts, all.length]) { yield all.subarray(from, to); from = to; }
      }
    }
    const got: Frame[] = [];
    const read = async () => { for await (const f of frames(pieces())) got.push(f); };
    if (x.error) await assert.rejects(read, { kind: x.error });
    else await read();
    assert.deepEqual(got, x.frames);
  });
}

test("frames of bytes in pieces", async () => {
  async function* pieces() { for (const byte of Buffer.from("id: 7\ndata: é\n\n")) yield Uint8Array.of(byte); }
  const got: Frame[] = [];
  for await (const f of frames(pieces(), "6")) got.push(f);
  assert.deepEqual(got, [{ id: "7", name: "", data: "é" }]);
});
