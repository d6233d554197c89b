// Package durable is the order that cannot be broken (I1): records, then their source offset, then the word to the
// source that it may forget them.
//
// Each step takes a value that only the step before it can make, because the fields are not exported and there is no
// other constructor:
//
//	Writer.Begin ──▶ *Batch ──Wait──▶ Records ──Store.Save──▶ Offsets ──Commit──▶ task.Commit
//	 (produced)      (in flight)      (acknowledged)          (acknowledged)
//
// The zero Records and the zero Offsets carry nothing, so they commit nothing.
package durable
