// Files of this machine, for Node.
import { createHash } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Upload } from "./answers.js";
import type { Client } from "./client.js";
import type { Download } from "./download.js";
import { UnsafePathError, invalid } from "./error.js";
import { create, partsOf } from "./folder.js";
import type { CallOptions } from "./http.js";
import type { InputFile } from "./requests.js";

export interface SaveOptions extends CallOptions {
  /** Another name, below the folder. */
  to?: string;
}
export interface SaveAllOptions extends CallOptions {
  /** Of all files together: 1 GiB by default. */
  maxBytes?: number;
}

/** Writes a file that a job left into folder, under its own name or that of to, and answers its path. */
export async function saveArtifact(tako: Client, id: string, name: string, folder: string, o: SaveOptions = {}): Promise<string> {
  const to = o.to ?? name;
  partsOf(to);
  return create(folder, to, checked(await tako.artifact(id, name, o)));
}

/** Writes all files that a job left into folder and answers their paths. Nothing is written where a name would lead out of it, or
 * where they are more than maxBytes. */
export async function saveArtifacts(tako: Client, id: string, folder: string, o: SaveAllOptions = {}): Promise<string[]> {
  const { items } = await tako.artifacts(id, o), most = o.maxBytes ?? 2 ** 30;
  for (const each of items) partsOf(each.name);
  let left = most - items.reduce((size, each) => size + each.size_bytes, 0);
  const tooMuch = invalid(`the files of ${id} are more than ${most} bytes: see maxBytes`);
  if (left < 0) throw tooMuch;
  const paths: string[] = [];
  for (const each of items) {
    const file = await tako.artifact(id, each.name, o);
    left += each.size_bytes;
    paths.push(await create(folder, each.name, checked(file, (size) => { if ((left -= size) < 0) throw tooMuch; })));
  }
  return paths;
}

/** Writes all files that a job left to a file, as one ZIP archive, and answers its path. */
export async function saveZip(tako: Client, id: string, file: string, o: CallOptions = {}): Promise<string> {
  const name = basename(file);
  if (["", ".", ".."].includes(name)) throw new UnsafePathError(`${JSON.stringify(file)} is no name of a file`);
  return create(dirname(file), name, checked(await tako.artifactsZip(id, o)));
}

/** Uploads a file of this machine, as it is read. */
export async function uploadFile(tako: Client, file: string, o?: CallOptions): Promise<Upload> {
  const from = await open(file);
  try { return await tako.upload(from.createReadStream({ autoClose: false }), o); } finally { await from.close(); }
}

/** A file of this machine as one below /input, to go along with a request. */
export async function localFile(file: string, path = basename(file)): Promise<InputFile> {
  return { path, data: await readFile(file) };
}

/** A file's bytes, which end in an error where the digest is another. */
async function* checked(file: Download, count = (_: number) => {}): AsyncGenerator<Uint8Array, void, undefined> {
  const sum = createHash("sha256");
  for await (const chunk of file) {
    count(chunk.length);
    sum.update(chunk);
    yield chunk;
  }
  file.check(sum.digest("hex"));
}
