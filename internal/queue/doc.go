// Package queue is the policy of the job system: who is admitted, who runs
// next, what is tried again, what a cancel does, what follows a crash. It knows
// records and claims, no database and no sandbox.
//
// # Two ways to run
//
// An async job is a record and an entry in the store's queue; a worker of some
// node claims it. A sync job has no entry: its record is stored as running when
// it has a slot, and finished when it ended. Both take their slots from the
// same Slots, so that together they never exceed what the machine is meant to
// carry, and each class keeps a share that the other cannot take.
package queue
