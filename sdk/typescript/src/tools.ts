// Tools for a model: running code in sandboxes, looking at what became of it. Names, texts and limits are those of the tools that a
// server has by MCP.
import type { Artifact, FullRecord } from "./answers.js";
import type { Client } from "./client.js";
import type { Download } from "./download.js";
import { TakoError, halved, invalid } from "./error.js";
import type { InputFile, Language } from "./requests.js";
import { deepest, getExecutionTool, longestFile, maxRead, maxText, readArtifactTool, runCodeTool, type Tool } from "./toolschema.js";
import { check } from "./toolcheck.js";

export { getExecutionTool, readArtifactTool, runCodeTool, type Schema, type Tool } from "./toolschema.js";

/** What a model is told of the tools. */
export const tools: readonly Tool[] = [runCodeTool, getExecutionTool, readArtifactTool];

/** The same for the tools of OpenAI's chat completions, and of what speaks like them. */
export function openaiTools(of: readonly Tool[] = tools) {
  return of.map((tool) => ({ type: "function" as const, function: structuredClone(tool) }));
}

/** The same for the tools of Anthropic's messages. */
export function anthropicTools(of: readonly Tool[] = tools) {
  return of.map(({ name, description, parameters }) => ({ name, description, input_schema: structuredClone(parameters) }));
}

export interface ToolOptions {
  /** Of all code that the model runs: what it may reach and use is yours to say, and not the model's. */
  jobType?: string;
  signal?: AbortSignal;
}

/** Does what a model asked for; args are an object, or its JSON. Answers text for the model: JSON, long texts cut and said to be, or
 * "Error: " and what was wrong with the call. Code that fails is no error. What a model cannot mend, a server that is away for
 * instance, is thrown. */
export async function callTool(tako: Client, name: string, args: unknown = {}, o: ToolOptions = {}): Promise<string> {
  try {
    const values = argumentsOf(name, args);
    if (name === "run_code") return await run(tako, values as unknown as RunCode, o);
    if (name === "get_execution") return await look(tako, String(values.execution_id), o);
    return await read(tako, values as unknown as ReadArtifact, o);
  } catch (e) {
    if (e instanceof TakoError && ["invalid", "forbidden", "not_found", "timeout", "conflict"].includes(e.kind)) return failed(e);
    throw e;
  }
}

interface RunCode { code: string; language?: Language; requirements?: string[]; timeout?: number; files?: GivenFile[] }
interface GivenFile { path: string; content?: string; content_base64?: string }
interface ReadArtifact { execution_id: string; name: string; offset?: number; limit?: number }

/** The arguments of a call as its tool takes them. What is null was left out. */
function argumentsOf(name: string, given: unknown): Record<string, unknown> {
  const tool = tools.find((t) => t.name === name);
  if (!tool) throw invalid(`there is no tool ${typeof name === "string" ? JSON.stringify(name) : "without a name"}; there are ${tools.map((t) => t.name).join(", ")}`);
  if (typeof given === "string") {
    try { given = JSON.parse(given || "{}"); } catch (e) { throw invalid(`the arguments of ${name} are not JSON: ${(e as Error).message}`); }
  }
  if (typeof given !== "object" || Array.isArray(given)) throw invalid(`the arguments of ${name} must be an object`);
  const values = Object.fromEntries(Object.entries(given ?? {}).filter(([, value]) => value !== null && value !== undefined));
  check(name, tool.parameters, values);
  return values;
}

/** An error in words for the model. */
function failed(e: TakoError): string {
  const said = e.problems.map((p) => `${p.loc.slice(1).join(".")}: ${p.msg}`);
  const text = `Error: ${said.join("; ") || e.detail}`;
  return halved(text) ? new TextDecoder().decode(new TextEncoder().encode(text)) : text; // it is sent on as UTF-8
}

async function run(tako: Client, r: RunCode, o: ToolOptions): Promise<string> {
  const done = await tako.execute({
    code: r.code, language: r.language, requirements: r.requirements, timeout: r.timeout || undefined, job_type: o.jobType,
    files: r.files?.map(file), cancel_on_disconnect: true, // whoever gives up waiting takes the job along
  }, { signal: o.signal });
  if (typeof done.execution_id !== "string" || !done.execution_id) {
    throw invalid(typeof done.error === "string" ? done.error : "the server names no execution");
  }
  return look(tako, done.execution_id, o);
}

function file(f: GivenFile): InputFile {
  if (f.content_base64 === undefined) return { path: f.path, text: f.content ?? "" };
  return { path: f.path, text: f.content, content: f.content_base64 };
}

async function look(tako: Client, id: string, o: ToolOptions): Promise<string> {
  const record = shown(id, await tako.execution(id, { signal: o.signal }));
  if (!flat(record, deepest + 2)) throw senseless(id, "it is nested too deep");
  return JSON.stringify(record);
}

function senseless(id: string, what: string): TakoError { return new TakoError("malformed", `the record of ${id} makes no sense: ${what}`); }

/** Whether a value is nested so little that it can be written as JSON, which is done by recursion. */
function flat(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((inner) => flat(inner, depth - 1));
}

/** An execution for a model. Texts of programs are cut; cut says which. */
function shown(id: string, r: FullRecord): object {
  const cut: string[] = [];
  const stream = (name: "stdout" | "stderr") => {
    const whole: unknown = r[name] ?? "";
    if (typeof whole !== "string") throw senseless(id, `its ${name} is no text`);
    const text = shortened(whole);
    if (text !== whole || r[`${name}_truncated`]) cut.push(`${name}: ${size(text)} bytes are shown`);
    return text;
  };
  const streams = { stdout: stream("stdout"), stderr: stream("stderr") };
  const { output, left } = outputOf(r);
  if (left) cut.push(left);
  const files: unknown = r.artifacts ?? [];
  if (!Array.isArray(files) || files.some((file) => typeof file !== "object" || file === null)) {
    throw senseless(id, "its artifacts are no list of files");
  }
  const artifacts = (files as Artifact[]).map(({ name, size_bytes, content_type }) => given({ name, size_bytes, content_type }));
  return given({
    execution_id: r.execution_id, status: r.status, exit_code: r.exit_code, ...streams, output,
    error: r.error, ended_by: r.ended_by, artifacts, cut: cut.length > 0 ? cut : null,
  });
}

/** An output, or why it is left out. It is the program's, so a model can mend it. */
function outputOf(r: FullRecord): { output?: unknown; left?: string } {
  if (!flat(r.output, deepest)) return { left: `output: it is nested deeper than ${deepest} and left out` };
  const bytes = size(JSON.stringify(r.output ?? null));
  return bytes > maxText ? { left: `output: its ${bytes} bytes are left out` } : { output: r.output };
}

function given(values: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined));
}

function size(text: string): number { return new TextEncoder().encode(text).length; }

/** As much of a text as a model gets, cut between two characters. */
function shortened(text: string): string {
  const data = new TextEncoder().encode(text);
  return data.length <= maxText ? text : decoded(data.subarray(0, maxText), true) ?? "";
}

async function read(tako: Client, r: ReadArtifact, o: ToolOptions): Promise<string> {
  const offset = r.offset ?? 0, limit = Math.min(r.limit || maxRead, maxRead);
  if (offset < 0 || limit < 0) throw invalid("offset and limit must not be negative");
  const from = await tako.artifact(r.execution_id, r.name, { signal: o.signal });
  const { data, seen, ended } = await part(from, offset, limit);
  const whole = from.size ?? (ended ? seen : undefined), more = (at: number) => whole === undefined || at < whole;
  const text = decoded(data, more(offset + data.length));
  const shown = text === undefined ? data.subarray(0, maxText) : new TextEncoder().encode(text);
  const content = text === undefined ? { content_base64: base64(shown) } : { content: text };
  return JSON.stringify({
    name: r.name, size_bytes: whole, content_type: from.contentType, offset, bytes: shown.length, more: more(offset + shown.length), ...content,
  });
}

/** A part of a file, and how much of the file was read for it. */
async function part(file: Download, offset: number, limit: number): Promise<{ data: Uint8Array; seen: number; ended: boolean }> {
  const data = new Uint8Array(limit);
  let seen = 0, have = 0, ended = true;
  for await (const chunk of file) {
    const piece = chunk.subarray(Math.max(0, offset - seen)).subarray(0, limit - have);
    data.set(piece, have);
    have += piece.length;
    seen += chunk.length;
    if (seen > longestFile) throw new TakoError("malformed", `${JSON.stringify(file.name)} is longer than ${longestFile / 2 ** 20} MiB`);
    if (have < limit) continue;
    ended = false;
    break;
  }
  return { data: data.subarray(0, have), seen, ended };
}

/** A text, up to a last character that is cut where the file goes on; undefined for what is no text. */
function decoded(data: Uint8Array, goesOn: boolean): string | undefined {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try { return decoder.decode(data, { stream: goesOn }); } catch { return undefined; }
}

function base64(data: Uint8Array): string {
  let binary = "";
  for (const byte of data) binary += String.fromCharCode(byte);
  return btoa(binary);
}
