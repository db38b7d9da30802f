// Files of this machine, for Node.
import { createHash } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Artifact, Upload } from "./answers.js";
import type { Client } from "./client.js";
import type { Download } from "./download.js";
import { TakoError, UnsafePathError, amount, invalid } from "./error.js";
import { create, partsOf } from "./folder.js";
import type { CallOptions } from "./http.js";
import type { InputFile } from "./requests.js";

export interface SaveAllOptions extends CallOptions {
  /** Of all files together, as they are read: 1 GiB by default. */
  maxBytes?: number;
}
export interface SaveOptions extends SaveAllOptions {
  /** Another name, below the folder. */
  to?: string;
}

/** Writes a file that a job left into folder, under its own name or that of to, and answers its path. */
export async function saveArtifact(tako: Client, id: string, name: string, folder: string, o: SaveOptions = {}): Promise<string> {
  const to = o.to ?? name, count = bound(`${JSON.stringify(name)} of ${id} is`, o);
  partsOf(to);
  return save(await tako.artifact(id, name, o), folder, to, count);
}

/** Writes all files that a job left into folder and answers their paths. Nothing is written where a name would lead out of it,
 * where one is both a file and a folder, or where they are more than maxBytes. */
export async function saveArtifacts(tako: Client, id: string, folder: string, o: SaveAllOptions = {}): Promise<string[]> {
  const what = `the files of ${id} are`, said = bound(what, o), count = bound(what, o);
  const { items } = await tako.artifacts(id, o);
  for (const each of items) said(sizeOf(each, id));
  apart(items.map((each) => partsOf(each.name)));
  const paths: string[] = [];
  for (const each of items) paths.push(await save(await tako.artifact(id, each.name, o), folder, each.name, count));
  return paths;
}

/** Writes all files that a job left to a file, as one ZIP archive, and answers its path. */
export async function saveZip(tako: Client, id: string, file: string, o: SaveAllOptions = {}): Promise<string> {
  const name = basename(file), count = bound(`the archive of ${id} is`, o);
  if (["", ".", ".."].includes(name)) throw new UnsafePathError(`${JSON.stringify(file)} is no name of a file`);
  return save(await tako.artifactsZip(id, o), dirname(file), name, count);
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

type Count = (bytes: number) => void;

/** Counts bytes, and throws where they are more than maxBytes. */
function bound(what: string, o: SaveAllOptions): Count {
  const most = amount("maxBytes", o.maxBytes ?? 2 ** 30);
  let left = most;
  return (bytes) => { if ((left -= bytes) < 0) throw invalid(`${what} more than ${most} bytes: see maxBytes`); };
}

/** What a list of files says of a size, if that is one: a negative one would make room for others. */
function sizeOf(each: Artifact, id: string): number {
  if (Number.isSafeInteger(each.size_bytes) && each.size_bytes >= 0) return each.size_bytes;
  throw new TakoError("malformed", `the list of the files of ${id} makes no sense: there is one whose size_bytes is no number of bytes`);
}

/** Throws where a name is that of a file and of a folder. */
function apart(names: string[][]): void {
  const files = new Set(names.map((parts) => parts.join("/")));
  for (const parts of names) {
    const folder = parts.slice(0, -1).find((_, n) => files.has(parts.slice(0, n + 1).join("/")));
    if (folder !== undefined) throw new UnsafePathError(`${JSON.stringify(folder)} of ${JSON.stringify(parts.join("/"))} is a file, too`);
  }
}

/** Writes a file that is on its way. */
async function save(file: Download, folder: string, name: string, count: Count): Promise<string> {
  try { return await create(folder, name, checked(file, count)); } finally { await file.close(); } // it may not have been read
}

/** A file's bytes, which end in an error where the digest is another. */
async function* checked(file: Download, count: Count): AsyncGenerator<Uint8Array, void, undefined> {
  const sum = createHash("sha256");
  for await (const chunk of file) {
    count(chunk.length);
    sum.update(chunk);
    yield chunk;
  }
  file.check(sum.digest("hex"));
}
