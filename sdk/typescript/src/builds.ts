import type { Build } from "./answers.js";
import { TakoError } from "./error.js";
import { dataOf, stream } from "./events.js";
import { post, type CallOptions, type Http } from "./http.js";
import { path } from "./path.js";

export interface BuildOptions extends CallOptions {
  /** A name for the version. */
  tag?: string;
}

/** What a build says, and at last what it made. */
export type BuildEvent = { type: "log"; text: string } | { type: "end"; build: Build };

/** Builds a job type. fetch does not wait longer than five minutes for this answer. */
export function build(http: Http, name: string, o: BuildOptions): Promise<Build> {
  return http.object<Build>({ ...post(path`/job-types/${name}/build`), query: { version_tag: o.tag }, within: 0 }, o);
}

/** Builds a job type and answers what the build says, as it does. */
export async function* follow(http: Http, name: string, o: BuildOptions): AsyncGenerator<BuildEvent, void, undefined> {
  const q = { ...post(path`/job-types/${name}/build`), query: { version_tag: o.tag, follow: true }, headers: { Accept: "text/event-stream" } };
  const reply = await http.open(q, o);
  for await (const frame of stream(reply)) {
    const data = dataOf(frame, reply);
    if (frame.name === "error") {
      const detail = typeof data.detail === "string" ? data.detail : "the build failed, and the server does not say why";
      throw new TakoError("server", detail, { status: reply.status, correlationId: reply.header("X-Correlation-ID") });
    }
    if (frame.name === "log") yield { type: "log", text: typeof data.text === "string" ? data.text : "" };
    if (frame.name !== "end") continue;
    yield { type: "end", build: data as unknown as Build };
    return;
  }
  throw new TakoError("unreachable", `what the build of ${name} says broke off; the build may have succeeded`);
}
