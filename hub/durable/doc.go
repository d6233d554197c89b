// Package durable is the order that cannot be broken (I1): records, then their source offset, then the word to the
// source that it may forget them.
//
// Each step takes a value that only the step before it can make, because the fields are not exported and there is no
// other constructor:
//
//	Writer.Begin ──▶ *Batch ──Wait──▶ Records ──Store.Save──▶ Offsets ──Commit──▶ task.Commit
//	 (produced)      (in flight)      (acknowledged)          (acknowledged)
//
// With a transaction, all of it becomes visible at once: the Store produces the offsets into the transaction that the
// records are in and ends it. What Wait proves then is that nothing is missing in it, and Save that it is durable.
//
// The zero Records and the zero Offsets carry nothing, so they commit nothing.
package durable
