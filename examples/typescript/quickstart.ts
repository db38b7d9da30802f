// What most programs need of tako-vm.
//
// Start a server first: tako server. Then, in sdk/typescript:
//
//     npm ci && npm run build && node dist/examples/quickstart.js
//
// In a project of your own: npm install ./sdk/typescript, and Node 22.18 and newer run this file as it is.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Client, TakoError } from "tako-vm";
import { saveArtifacts } from "tako-vm/node";

const tako = Client.fromEnv(); // TAKO_URL and TAKO_API_KEY, else http://localhost:8000

// Code, and what became of it. Code that fails is an answer, too; what is thrown is a call that fails.
const done = await tako.execute({ code: "print(6 * 7)" });
console.log("executed:", done.stdout.trim());
const wrong = await tako.execute({ code: "1 / 0" });
console.log("failed:", wrong.error?.includes("ZeroDivisionError"), wrong.exit_code);

// A job in the background: its output as it comes, and the files that it left.
const job = await tako.submit({
  code: "text = open('/input/name.txt').read()\nprint('hello', text)\nopen('/output/upper.txt', 'w').write(text.upper())",
  files: [{ path: "name.txt", text: "tako" }],
});
for await (const event of tako.events(job.job_id)) { // goes on by itself after a lost connection
  if (event.type === "stdout") process.stdout.write(event.text);
}
const folder = await mkdtemp(join(tmpdir(), "quickstart-"));
for (const path of await saveArtifacts(tako, job.job_id, folder)) { // never outside of folder
  console.log("file:", basename(path), await readFile(path, "utf8"));
}
await rm(folder, { recursive: true });

// Many at once.
const { batch_id } = await tako.submitBatch({ items: [0, 1, 2].map((n) => ({ code: `print(${n} ** 2)` })) });
await tako.waitBatch(batch_id);
for await (const record of tako.iterBatchResults(batch_id)) console.log("batch:", record.stdout.trim());

// What goes wrong has a kind.
try {
  await tako.status("no-such-job");
} catch (e) {
  if (!(e instanceof TakoError)) throw e;
  console.log("error:", e.kind, e.detail);
}
