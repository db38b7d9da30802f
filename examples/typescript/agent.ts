// An agent: a model that runs code, sees what went wrong, and mends it. The model here is a script, so that this runs without one;
// model() is where a real one is asked, with the same messages and the same tools.
//
// Start a server first: tako server. Then, in sdk/typescript:
//
//     npm ci && npm run build && node dist/examples/agent.js

import { Client } from "tako-vm";
import { callTool, openaiTools } from "tako-vm/tools";

interface Call { id: string; name: string; arguments: string }
interface Message { role: "user" | "assistant" | "tool"; content: string; calls?: Call[]; call?: string }

const tako = Client.fromEnv(); // TAKO_URL and TAKO_API_KEY, else http://localhost:8000
const messages: Message[] = [{ role: "user", content: "What is the sum of the squares from 1 to 10?" }];

for (;;) {
  const said = model(messages, openaiTools());
  messages.push(said);
  if (!said.calls) {
    console.log("answer:", said.content);
    break;
  }
  for (const call of said.calls) {
    // Whatever the model asks for, this answers text that it can read, also where the call makes no sense.
    const content = await callTool(tako, call.name, call.arguments);
    console.log(`${call.name}:`, seen(content));
    messages.push({ role: "tool", content, call: call.id });
  }
}

/** A model that makes two mistakes: an argument that is not there, and a name. */
function model(messages: Message[], tools: ReturnType<typeof openaiTools>): Message {
  const last = messages.at(-1)!.content, name = tools[0].function.name;
  const run = (args: object): Message => ({ role: "assistant", content: "", calls: [{ id: `call-${messages.length}`, name, arguments: JSON.stringify(args) }] });
  if (last.startsWith("What")) return run({ program: "print(sum(n * n for n in range(1, 11)))" });
  if (last.startsWith("Error: ")) return run({ code: "print(total(n * n for n in range(1, 11)))" });
  const { status, stdout } = JSON.parse(last) as { status: string; stdout: string };
  if (status === "failed") return run({ code: "print(sum(n * n for n in range(1, 11)))" });
  return { role: "assistant", content: `It is ${stdout.trim()}.` };
}

/** What is shown of a tool's answer. */
function seen(content: string): string {
  if (content.startsWith("Error: ")) return content;
  const { status, stdout, error } = JSON.parse(content) as { status: string; stdout: string; error?: { message: string } };
  return error ? `${status}, ${error.message}` : `${status}, ${stdout.trim()}`;
}
