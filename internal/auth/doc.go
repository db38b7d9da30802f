// Package auth tells who makes a request: it makes and reads API keys, knows
// which of them stand, and bounds how often each caller may call.
//
// # Keys
//
// A key is "tako_", 256 random bits and a checksum. The checksum is no secret
// and protects nothing; it tells a key with a typing error from one that was
// deleted, and keeps what is no key at all from reaching the database.
//
// A stored key is kept as its SHA-256 and nothing else. A slow hash, as
// passwords need one, would add nothing: passwords are guessed because people
// choose among few, and here every guess has one chance in 2^256. Nor is a salt
// needed, since no two keys are alike. What a slow hash would cost is felt with
// every request. For the same reason the hash may be looked up in an index:
// what the time of a look-up tells of a hash helps nobody to find a key.
//
// Keys of the configuration are chosen by people, so each of them is compared
// in constant time, all of them with every request.
//
// # Principals
//
// A key of the configuration is "api_key:<index>", counted from 0, has every
// scope and sees everything. A stored key is "key:<id>", has the scopes it was
// made with and owns what it makes.
//
// # Addresses and limits
//
// Proxies finds the address of the caller behind proxies that the operator
// trusts. Limiter counts calls in fixed windows, by principal or address.
package auth
