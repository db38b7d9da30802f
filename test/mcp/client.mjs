// Asks a MCP server as an assistant would: client.mjs stdio <binary>, or
// client.mjs http <url> <key> [header]. It prints what came, as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [how, where, key, header] = process.argv.slice(2);
const headers = header ? { [header]: key } : { Authorization: `Bearer ${key}` };
const transport = how === "stdio"
  ? new StdioClientTransport({ command: where, args: ["mcp"], env: process.env, stderr: "inherit" })
  : new StreamableHTTPClientTransport(new URL(where), { requestInit: { headers } });
const client = new Client({ name: "test", version: "1" });
await client.connect(transport);
const answer = { tools: (await client.listTools()).tools.map((t) => t.name).sort(), progress: [] };
const code = `import base64
print("hello")
open("/output/dot.png", "wb").write(base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="))`;
try {
  answer.run = await client.callTool({ name: "run_code", arguments: { code } }, undefined,
    { onprogress: (p) => answer.progress.push(p.message), timeout: 60000 });
} catch (e) {
  answer.refused = String(e);
}
answer.wrong = await client.callTool({ name: "get_execution", arguments: { execution_id: "nobody" } });
await client.close();
console.log(JSON.stringify(answer));
