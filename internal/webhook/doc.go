// Package webhook tells other people's servers that a job or a batch has ended.
//
// # Delivery
//
// The store makes a delivery in the transaction that ends a job, so that none is
// forgotten. A Dispatcher claims those that are due and POSTs each until the
// receiver answers with a status from 200 to 299 or 24 hours have passed. A try
// has 10 seconds in all; between tries it waits 10 seconds, then twice as long
// each time, an hour at most, each wait shortened at random by up to a half, so
// that a receiver that comes back does not meet everybody at once. Tries are
// shared out among owners: whose receivers never answer keeps nobody else
// waiting.
//
// A claim hides a delivery for a minute. A server that dies in the middle of a
// try leaves it to the next one, so a receiver may get a delivery twice, in
// rare cases even after it answered; Tako-Delivery is the same every time.
//
// # Trust
//
// Whoever submits a job names the URL, and is not trusted: connections are made
// through a netguard.Guard, redirects are not followed, no proxy of the
// environment is used, each try connects anew and has its address judged anew.
// Of the answer only the status counts; 64 KiB of it are read and nothing is
// kept. What a record says of a failure does not tell which address a name has
// inside of the operator's network.
//
// # Signature
//
// A receiver that knows the secret can tell that a body is ours and not old:
//
//	Tako-Signature: t=<seconds since 1970>,v1=<hex HMAC-SHA256 of "<t>.<body>">
//
// Package signature makes and checks it. A delivery without a secret has no such header: a signature
// with a key that everybody knows would only look like one.
package webhook
