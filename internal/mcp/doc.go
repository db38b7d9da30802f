// Package mcp turns the API into tools of the Model Context Protocol.
//
// Every tool is a few calls of the API by its client: over the network, or in
// the same process through Transport. So the tables, keys, scopes, limits and
// words of the API hold for tools without a second copy of any of them. What a
// program wrote is data in an answer, and is never read.
package mcp
