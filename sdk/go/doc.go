// Package tako is the client of a Tako server.
//
//	client, err := tako.New("http://localhost:8000", tako.Options{APIKey: os.Getenv("TAKO_API_KEY")})
//	if err != nil {
//		return err
//	}
//	answer, err := client.Execute(ctx, tako.ExecuteRequest{Code: "print(1+1)"})
//
// Each route of the API is a method. What goes over the wire are the types of
// this package, in the words of the API's reference, which a server has at
// /docs.
//
// # Errors
//
// A call that fails answers an *Error, which is one of the kinds ErrNotFound,
// ErrUnauthorized and so on for errors.Is, or the error of its context. Code
// that fails in its sandbox is no error of a call: ExecuteResponse and records
// tell of it.
//
// # Trying again
//
// Calls that only read are repeated when the server cannot be reached, is not
// available (502, 503, 504) or allows no more requests for now (429), a few
// times and not for long, see Options. Calls that make something are repeated
// only where their request has an idempotency key, so that nothing runs twice.
//
// # Time
//
// Contexts bound everything. Calls that the server answers at once have a bound
// beside that, Options.Timeout; those that wait for code, files or builds have
// none.
//
// # Webhooks
//
// A server that is told of the end of jobs checks what it is told with
// VerifyWebhook, before it decodes it.
package tako
