import { invalid } from "./error.js";
import type { Schema } from "./toolschema.js";

/** Holds a value against a schema; what is wrong is said in words for a model. */
export function check(where: string, schema: Schema, value: unknown): void {
  if (!fits(schema.type, value)) throw invalid(`${where} must be of type ${schema.type}`);
  if (schema.type === "array") (value as unknown[]).forEach((item, n) => check(`${where}[${n}]`, schema.items, item));
  if (schema.type !== "object") return;
  const values = value as Record<string, unknown>, { properties } = schema;
  for (const name of schema.required) {
    if (!Object.hasOwn(values, name)) throw invalid(`${where} needs ${JSON.stringify(name)}: ${properties[name].description}`);
  }
  for (const [name, inner] of Object.entries(values)) {
    if (!Object.hasOwn(properties, name)) {
      throw invalid(`${where} has no ${JSON.stringify(name)}; it has ${Object.keys(properties).join(", ")}`);
    }
    check(`${where}: ${name}`, properties[name], inner);
  }
}

function fits(type: Schema["type"], value: unknown): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isSafeInteger(value);
  return typeof value === type && value !== null && !Array.isArray(value);
}
