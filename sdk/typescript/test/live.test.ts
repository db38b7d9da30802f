// Against a real server, which TAKO_TEST_URL names.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as each, type TestContext } from "node:test";
import { Client, type JobEvent } from "../src/index.js";
import { localFile, saveArtifact, saveArtifacts, saveZip, uploadFile } from "../src/node.js";
import { callTool } from "../src/tools.js";
import { listen } from "./stub.js";

const url = process.env.TAKO_TEST_URL ?? "";
const tako = new Client(url || undefined);

function test(name: string, body: (t: TestContext) => Promise<void>) { each(name, { skip: !url && "TAKO_TEST_URL is not set" }, body); }

async function all<T>(from: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of from) list.push(item);
  return list;
}

function said(events: JobEvent[]): string { return events.filter((e) => e.type === "stdout").map((e) => e.text).join(""); }

test("code that is waited for", async () => {
  const done = await tako.execute({ code: "print(6 * 7)", input_data: { a: 1 }, timeout: 20 }, { correlationId: "mine" });
  assert.deepEqual([done.success, done.stdout, done.runtime], [true, "42\n", "runsc"]);
  const first = await tako.execute({ code: "print(1)", idempotency_key: "live-key-1" });
  assert.equal((await tako.execute({ code: "print(1)", idempotency_key: "live-key-1" })).execution_id, first.execution_id);
});

test("the life of a job", async () => {
  const { job_id: job } = await tako.submit({
    code: "import json; n = json.load(open('/input/data.json')); json.dump({'sum': n['a'] + n['b']}, open('/output/result.json', 'w'))",
    input_data: { a: 1, b: 1 }, labels: { of: "typescript" },
  });
  const record = await tako.result(job, { wait: 30 });
  assert.deepEqual([record.status, record.output, record.labels], ["succeeded", { sum: 2 }, { of: "typescript" }]);
  assert.equal((await tako.status(job)).status, "succeeded");
  assert.equal(await (await tako.artifact(job, "result.json")).text(), '{"sum": 2}');
  const again = await tako.rerun(job);
  assert.equal((await tako.wait(again.job_id)).parent_execution_id, job);
  const forked = await tako.fork(job, { code: "print(open('/input/data.json').read())", timeout: 9 });
  assert.match((await tako.wait(forked.job_id, { timeout: 60 })).stdout, /"a"/);
  assert.equal((await tako.lineage(forked.job_id)).ancestors[0].execution_id, job);
  assert.equal((await tako.diff(job, forked.job_id)).identical, false);
  assert.equal((await tako.execution(job)).execution_id, job);
  assert.ok((await tako.executions({ labels: { of: "typescript" }, limit: 2 })).count >= 1);
  assert.ok((await tako.executions({ limit: 5, view: "full" })).items.every((r) => r.ended_by !== undefined));
  await tako.deleteJob(forked.job_id);
  await assert.rejects(tako.status(forked.job_id), { kind: "not_found", status: 404, detail: "Job not found" });
});

test("a job that is cancelled", async () => {
  const { job_id: job } = await tako.submit({ code: "import time\nprint('up', flush=True)\ntime.sleep(60)" });
  for await (const event of tako.events(job)) if (event.type === "stdout") break;
  await assert.rejects(tako.result(job, { wait: 0.1 }), { kind: "timeout" });
  assert.deepEqual(await tako.cancel(job), { status: "cancelled", job_id: job });
  assert.equal((await tako.wait(job)).status, "cancelled");
});

test("code ends with its caller who says so", async () => {
  const ends = new AbortController(), label = { gone: String(process.pid) };
  const called = tako.execute({ code: "import time; time.sleep(60)", cancel_on_disconnect: true, labels: label }, { signal: ends.signal });
  let record;
  while (!record || record.status !== "running") [record] = (await tako.executions({ labels: label })).items;
  ends.abort(new Error("enough"));
  await assert.rejects(called, /enough/);
  assert.equal((await tako.wait(record.execution_id)).status, "cancelled");
});

test("files in and out", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "tako-live-")), local = join(folder, "local");
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(local, "from here");
  const code = "import os; os.mkdir('/output/d'); open('/output/d/é.txt', 'w').write(open('/input/a/b.txt').read()); print('done')";
  let job = "";
  for (const source of [
    await localFile(local, "a/b.txt"), { path: "a/b.txt", text: "from here" }, { path: "a/b.txt", data: new Blob(["from here"]) },
    { path: "a/b.txt", upload: (await uploadFile(tako, local)).upload_id }, { path: "a/b.txt", upload: (await tako.upload("from here")).upload_id },
  ]) {
    job = (await tako.submit({ code, files: [source] })).job_id;
    assert.equal(said(await all(tako.events(job))), "done\n");
  }
  assert.deepEqual((await tako.artifacts(job)).items.map((a) => [a.name, a.size_bytes]), [["d/é.txt", 9]]);
  for (const at of [await saveArtifact(tako, job, "d/é.txt", join(folder, "one")), ...(await saveArtifacts(tako, job, join(folder, "all")))]) {
    assert.equal(await readFile(at, "utf8"), "from here");
  }
  const zip = Buffer.from(await (await tako.artifactsZip(job)).bytes());
  assert.equal(zip.subarray(0, 2).toString(), "PK");
  assert.equal(await saveZip(tako, job, join(folder, "all.zip")), join(folder, "all.zip"));
  let text = "";
  for await (const chunk of await tako.artifact(job, "d/é.txt")) text += Buffer.from(chunk);
  assert.equal(text, "from here");
});

test("events, from anywhere", async () => {
  const { job_id: job } = await tako.submit({ code: "import os; print('é', flush=True); os.write(1, b'\\xff')" });
  const events = await all(tako.events(job)), output = events.filter((e) => e.type === "stdout");
  assert.equal(Buffer.concat(output.map((e) => e.bytes)).toString("hex"), "c3a90aff");
  assert.deepEqual([events.at(-1)!.type, events.at(-1)!.status, events.at(-1)!.attempt], ["end", "succeeded", 0]);
  assert.match(events[0].ts, /^\d{4}-\d\d-\d\dT/);
  assert.deepEqual(await all(tako.events(job, { after: events.at(-2)!.id })), events.slice(-1));
  assert.deepEqual(await all(tako.events(job, { after: events.at(-1)!.id })), []);
  assert.deepEqual(await all(tako.events(job, { follow: false })), events);
});

/** A way to the server that cuts the first connection behind its first output. */
async function cutting(t: TestContext): Promise<{ url: string; connections: number }> {
  const { hostname, port } = new URL(url), way = { url: "", connections: 0 };
  const server = createServer((near) => {
    const first = ++way.connections === 1, far = connect(Number(port), hostname);
    const end = () => { near.destroy(); far.destroy(); };
    for (const side of [near, far]) side.on("error", end).on("close", end);
    near.pipe(far);
    far.on("data", (data) => {
      near.write(data);
      if (first && data.includes("event: stdout")) near.resetAndDestroy();
    });
  });
  t.after(() => server.close());
  way.url = await listen(server);
  return way;
}

test("a stream that is cut", async (t) => {
  const { job_id: job } = await tako.submit({ code: "import time\nfor n in range(4):\n    print(n, flush=True)\n    time.sleep(0.2)" });
  const way = await cutting(t), events = await all(new Client(way.url).events(job));
  assert.equal(way.connections, 2);
  assert.equal(said(events), "0\n1\n2\n3\n");
  assert.deepEqual(events, await all(tako.events(job)));
});

test("a stream whose reader has had enough", async () => {
  const { job_id: job } = await tako.submit({ code: "import time\nprint('up', flush=True)\ntime.sleep(60)" });
  const ends = new AbortController();
  await assert.rejects(async () => {
    for await (const event of tako.events(job, { signal: ends.signal })) if (event.type === "stdout") ends.abort(new Error("enough"));
  }, /enough/);
  await tako.cancel(job);
  await tako.wait(job);
});

test("batches", async () => {
  const items = [0, 1, 2, 3, 4].map((n) => ({ code: `print(${n})` }));
  const { batch_id: batch, total } = await tako.submitBatch({ items, labels: { of: "typescript" }, idempotency_key: "live-batch" });
  assert.equal(total, 5);
  const done = await tako.waitBatch(batch, { timeout: 120 });
  assert.deepEqual([done.status, done.counts], ["finished", { succeeded: 5 }]);
  assert.deepEqual((await all(tako.iterBatchResults(batch))).map((r) => r.stdout), ["0\n", "1\n", "2\n", "3\n", "4\n"]);
  assert.deepEqual((await tako.batchResults(batch, { limit: 2, offset: 1 })).items.map((r) => r.stdout), ["1\n", "2\n"]);
  for await (const r of tako.iterBatchResults(batch, { view: "full" })) assert.equal(r.batch_id, batch);
  assert.equal((await tako.batchResults(batch, { view: "full", limit: 1 })).items[0].batch_id, batch);
});

test("a batch that is cancelled", async () => {
  const { batch_id: batch } = await tako.submitBatch({ items: [{ code: "import time; time.sleep(60)" }, { code: "import time; time.sleep(60)" }] });
  assert.equal((await tako.batch(batch)).total, 2);
  await assert.rejects(tako.waitBatch(batch, { timeout: 0.1 }), { kind: "timeout" });
  await tako.cancelBatch(batch);
  assert.equal((await tako.waitBatch(batch, { timeout: 60 })).status, "cancelled");
  for (const r of (await tako.batchResults(batch)).items) assert.equal((await tako.wait(r.execution_id)).status, "cancelled");
});

test("job types and secrets", async (t) => {
  t.after(async () => {
    await tako.deleteJobType("ts-agent");
    await tako.deleteSecret("TS_KEY");
  });
  await tako.setSecret("TS_KEY", "sk-live-0123456789");
  const network = { mode: "allow" as const, allow: ["api.example.com"] }, secrets = [{ name: "TS_KEY", host: "api.example.com" }];
  await tako.createJobType("ts-agent", { timeout: 20, network, secrets });
  await assert.rejects(tako.createJobType("ts-agent"), { kind: "conflict", status: 409 });
  const done = await tako.execute({ code: "import os; print(os.environ['TS_KEY'])", job_type: "ts-agent" });
  assert.equal(done.stdout, "tako-secret.TS_KEY.placeholder\n");
  assert.ok((await tako.secrets()).some((s) => s.name === "TS_KEY"));
  assert.deepEqual((await tako.jobType("ts-agent")).network, network);
  assert.equal((await tako.replaceJobType("ts-agent", { timeout: 30 })).timeout, 30);
  assert.ok((await tako.jobTypes()).some((type) => type.name === "ts-agent"));
});

test("builds", async (t) => {
  t.after(() => tako.deleteJobType("ts-built"));
  await tako.createJobType("ts-built", { timeout: 20 });
  const built = await tako.buildJobType("ts-built", { tag: "one" });
  assert.equal((await tako.jobTypeVersions("ts-built"))[0].version_tag, "one");
  assert.equal(typeof (await tako.buildLog("ts-built", built.build_id)), "string");
  await assert.rejects(tako.buildLock("ts-built", built.build_id), { detail: "Build not found, or it has no packages" });
  const followed = await all(tako.followBuild("ts-built", { tag: "two" })), last = followed.at(-1)!;
  assert.ok(last.type === "end" && last.build.job_type === "ts-built");
  await assert.rejects(all(tako.followBuild("ts-none")), { kind: "not_found" });
});

test("operating", async () => {
  assert.equal(tako.url, url);
  assert.equal((await tako.health()).status, "healthy");
  assert.equal((await tako.ready()).status, "ready");
  assert.equal(typeof (await tako.pool()).sandboxes.ready, "number");
  assert.match(await tako.metrics(), /# HELP/);
  const key = await tako.createKey({ name: "typescript", scopes: ["read"] });
  assert.ok((await tako.keys()).some((k) => k.id === key.id));
  await tako.deleteKey(key.id);
  assert.equal((await tako.dlqStats()).total, 0);
  assert.deepEqual((await tako.dlq({ limit: 5 })).items, []);
  for (const call of [() => tako.deleteDlq(4711), () => tako.replayDlq(4711)]) await assert.rejects(call, { detail: "DLQ entry not found" });
  assert.deepEqual((await tako.deliveries({ limit: 5 })).items, []);
});

test("what is refused", async () => {
  await assert.rejects(tako.execute({ code: "x", timeout: 10 ** 6 }, { correlationId: "mine" }), { kind: "invalid", status: 422, correlationId: "mine", message: /timeout/ });
});

test("tools of a model", async () => {
  const ran = JSON.parse(await callTool(tako, "run_code", { code: "open('/output/a.txt', 'w').write('left'); 1 / 0" }));
  assert.deepEqual([ran.status, ran.exit_code, ran.artifacts[0].name], ["failed", 1, "a.txt"]);
  assert.match(ran.error.message, /division by zero/);
  assert.deepEqual(JSON.parse(await callTool(tako, "get_execution", { execution_id: ran.execution_id })), ran);
  assert.equal(JSON.parse(await callTool(tako, "read_artifact", { execution_id: ran.execution_id, name: "a.txt" })).content, "left");
  assert.equal(await callTool(tako, "read_artifact", { execution_id: ran.execution_id, name: "b.txt" }), "Error: Artifact not found");
  assert.match(await callTool(tako, "run_code", { code: "1", language: "cobol" }), /^Error: language: /);
});

test("types have the fields that the server has", async () => {
  const spec = (await (await fetch(`${url}/openapi.json`)).json()) as { components: { schemas: Record<string, { properties: Record<string, any> }> } };
  const types = await interfaces(), others = ["Error", "HTTPValidationError", "SecretRequest"]; // TakoError, and a parameter
  types.Record = types.ExecutionRecord;
  types.PageDeadLetter = types.PageDelivery = types.PageRecord = types.Page;
  types.JobTypeRequest.push("name"); // it is a parameter
  for (const [name, { properties }] of Object.entries(spec.components.schemas)) {
    if (!others.includes(name)) assert.deepEqual([...(types[name] ?? [])].sort(), Object.keys(properties).sort(), name);
  }
  const file = spec.components.schemas.ExecuteRequest.properties.files.items.properties;
  assert.deepEqual(types.InputFile.sort(), [...Object.keys(file), "data"].sort()); // data goes along in a form
});

/** The fields of every interface of the sources. */
async function interfaces(): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const file of ["answers", "operate", "requests"]) {
    const source = (await readFile(new URL(`../../src/${file}.ts`, import.meta.url), "utf8")).replaceAll(/\/\*\*.*?\*\/|\/\/.*/gs, (c) => c.startsWith("//") ? c.replace(/\/\/.*/, "") : "");
    for (const [, name, parent, body] of source.matchAll(/export interface (\w+)(?:<T>)?(?: extends (\w+))? \{(.*?)(?:\n\}| \}\n)/gs)) {
      found[name] = [...(found[parent] ?? []), ...[...body.replaceAll(/\{[^}]*\}/g, "").matchAll(/(?:^|[;\n{])\s*(\w+)\??:/g)].map((m) => m[1])];
    }
  }
  return found;
}
