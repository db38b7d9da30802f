// Package entry is the queue's end at River: entries are River's jobs, and
// nothing above this package knows of them but by number.
//
// # What River does here, and what it does not
//
// River keeps the entries (its table, its indexes, its migrations), inserts
// them, hands the most urgent ones out without two servers getting the same
// (SKIP LOCKED on PostgreSQL, the one writer on SQLite), waits for scheduled
// ones and runs the producer that fetches and works. An entry holds nothing but
// the id of its record, and it is deleted in the transaction that ends or
// requeues the record, so River's table is as long as the queue.
//
// What decides whether a job runs again stays ours, because River's answers to
// a dead worker are an election (15 s) and a rescue (an hour), and because they
// would not be in one transaction with the record:
//
//   - No leader is elected. The only service of a leader's that is needed, the
//     scheduler, is Promote, which the store calls.
//   - A fetch is ours to wrap: the executor that River's producer gets asks the
//     store for entries, which takes a slot first, and locks the entry and
//     claims the record in one transaction.
//   - A completion that River reports is not stored: the store did that when
//     the record ended, and the row is gone.
//   - Notifications come from the process: River's listener is replaced by one
//     that Wake signals after a commit. So nothing polls a table every 50 ms on
//     SQLite, and no transaction on PostgreSQL carries a NOTIFY, which would
//     serialize commits. A poll every second covers what got lost.
package entry
