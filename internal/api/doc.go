// Package api is the HTTP surface: it turns requests into calls of a Service,
// which it declares, and what comes back into the wire types of package wire.
//
// # How a request goes
//
// Security headers, correlation id, protection from web pages, authentication,
// rate limit (429), rejection (401, 403), size (413, 415), then the route: its
// parameters and body are held against the tables of package schema (422) and its
// handler is called. A handler answers an error instead of writing one; errors.go
// is the one table from errors to HTTP. Handlers see only what passed the tables.
//
// # Routes
//
// routes.go lists them. A row has everything about a route: method, path, scope,
// parameters, body, answer. The OpenAPI document is drawn from the same rows and
// tables, so it cannot say anything else than what is done.
//
// # Why huma is not used
//
// The answers to bad requests have to equal FastAPI's to the letter (type, loc,
// msg, input, ctx), over the raw JSON: whether a name occurs twice, what was
// written for a number, which of several problems comes first. huma validates
// values that encoding/json has decoded, words its problems its own way, as
// problem+json, and knows no conversions such as "5" to 5. What would remain of
// it is drawing schemas, two hundred lines here, at the price of package
// variables that are initialised in every sandbox, which is this same binary.
package api
