// Package sqlstore is what both databases share: the statements, and with them
// everything that store.Store promises. A driver brings transactions, entries
// of the queue, migrations and its errors (Database); it has no rules of its
// own, so that there are no two versions of one.
//
// # Statements
//
// They are written in what SQLite and PostgreSQL both understand, with $1, $2
// for arguments. Times are nanoseconds since 1970 in integers, 0 for none;
// truths are 0 and 1; JSON is text, and JSON that belongs to users is bytes,
// because databases that understand JSON change it.
//
// # Tables
//
// A record is spread over three tables by how often it is written: records has
// what is filtered and decided on and changes often, requests and outcomes hold
// the rest and are written once. Everything that grows with history is reached
// through an index; what is counted is counted among what is live.
//
// # Order of locks
//
// PostgreSQL locks rows as they are written, and two transactions that lock the
// same rows in different orders wait for each other. Every transaction here
// locks entries first, then records, then batches; those that take several of
// a kind take them by number.
//
// # Points of failure
//
// Every transaction has a name ("submit", "claim", "finish", ...), and calls
// Options.Fault with "<name>.begin" before it, "<name>.<group>" between groups
// of statements, "<name>.commit" before the commit and "<name>.committed" after
// it. storetest fails each of them, and kills the process at each of them.
package sqlstore
